# SPDX-License-Identifier: Apache-2.0
"""This library's driver with bugs: ``python broken_driver.py DRIVER BUG [FACE]`` has one in every task."""

import importlib.util
import subprocess
import sys
import time

path, bug, *faces = sys.argv[1:]
face = faces[0] if faces else "sync"
spec = importlib.util.spec_from_file_location("driver", path)
driver = importlib.util.module_from_spec(spec)
spec.loader.exec_module(driver)


def change_answer(step):
    if bug == "swallows errors" and "error" in step:
        return {"value": []}
    if bug == "is careless" and "error" in step:
        return {"value": (step.get("yields") or [[""]])[-1]}
    if bug == "returns only the last yield" and step.get("yields"):
        return {**step, "yields": step["yields"][-1:]}
    if bug == "returns a wrong value" and "value" in step:
        return {**step, "value": [f"{one}!" for one in step["value"]]}
    if bug == "says that everything is cancelled":
        return {"error": {"kind": "cancelled", "message": "cancelled"}}
    if bug == "answers an unknown kind of error":
        return {"error": {"kind": "bad luck"}}
    if bug == "cannot do anything":
        return {"cannot": "I am tired"}
    return step


def change_task(message):
    if bug in ("shares one session", "is careless"):
        for step in (step for group in message["groups"] for step in group):
            step["session"] = "main"
    if bug == "never cancels":
        for step in (step for group in message["groups"] for step in group):
            step["cancel_after"] = None


class Broken:
    def __init__(self, message):
        self.message = message

    def run(self):
        if bug == "dies":
            sys.exit("I cannot go on")
        if bug == "hangs":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            time.sleep(600)
        if bug == "writes stray output":
            sys.stdout.buffer.write(b"\xff\xfe\x00 not text\n")
            sys.stdout.flush()
        change_task(self.message)
        answers = [change_answer(step) for step in task(self.message).run()]
        if bug == "leaves steps out":
            answers.pop()
        if bug == "answers another task":
            pass
        return answers


task, features = driver.FACES[face]
driver.FACES = {"sync": (Broken, features)}
sys.argv = ["broken_driver"]
driver.main()
