#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A driver of curl with jq, by the documented /call API of Gradio 4.20 and newer: answers the tasks of the
# conformance run. It reads JSON lines on standard input and writes its answers on standard output.
#
# A call is a POST of its data and a GET of its events. What that API has no means for is answered with "cannot".

set -u
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Prints a step's error: kind, text.
error() { jq -cn --arg kind "$1" --arg message "$2" '{error: {kind: $kind, message: $message}}'; }

# Prints what curl's exit status means for a step: status, what was done.
curl_error() {
    case $1 in
    28) error timeout "curl: no answer in time while $2" ;;
    *) error lost "curl ended with status $1 while $2" ;;
    esac
}

# Prints why the API has no means for the step of a folder, if it has none.
reason_against() {
    jq -rn --slurpfile tasks "$work/task" --slurpfile steps "$1/step" '$tasks[0] as $task | $steps[0] as $step |
        if $task.protocol | IN("auto", "call") | not then "the driver speaks the /call API only"
        elif $step.event_data != null then "/call has no event data"
        elif $step.send != null then "/call cannot send more inputs to a running call"
        elif $step.cancel_after == 0 then "/call does not say that the function runs"
        elif $step.component_function != null then empty
        elif $step.endpoint == null then "/call needs an endpoint with a name"
        else empty end'
}

# Prints the seconds that are left of the time of the group, at least 1.
left() {
    rest=$((ends - $(date +%s)))
    if [ "$rest" -gt 0 ]; then echo "$rest"; else echo 1; fi
}

# Runs curl with the cookies of the task, for as long as a step may take, and gives its exit status.
fetch() { curl -sS -g --max-time "$(left)" -b "$jar" "$@"; }

# Posts a JSON file and prints the status: file, file of the reply, address.
post() { fetch -o "$2" -w '%{http_code}' -H 'content-type: application/json' --data-binary "@$1" "$3"; }

# Puts a value in the place of what equals the value of a file: file, file of what is there, file of the value.
replace() {
    jq -c --slurpfile old "$2" --slurpfile new "$3" \
        'setpath(first(paths(objects) as $path | select(getpath($path) == $old[0]) | $path); $new[0])' \
        "$1" >"$1.next" && mv "$1.next" "$1"
}

# Uploads the files in the body of a folder, and puts what the server answers in their places.
upload_files() {
    while jq -ce 'first(.. | objects | select(has("$file")))' "$1/body" >"$1/file"; do
        jq -r '."$file".base64' "$1/file" | base64 -d >"$1/content"
        escaped=$(jq -r '."$file".name' "$1/file" | sed 's/["\\]/\\&/g')
        status=$(fetch -o "$1/uploaded" -w '%{http_code}' -F "files=@$1/content;filename=\"$escaped\"" "$api/upload")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "uploading" >"$1/answer"; return 1; }
        [ "$status" = 200 ] || { error refused "upload: status $status: $(head -c 500 "$1/uploaded")" >"$1/answer"; return 1; }
        jq -c --slurpfile file "$1/file" \
            '{path: .[0], orig_name: $file[0]."$file".name, meta: {_type: "gradio.FileData"}}' "$1/uploaded" >"$1/data"
        replace "$1/body" "$1/file" "$1/data" || return 1
    done
}

# Prints the outputs of a JSON file with the server's files by content: file, folder.
read_files() {
    cp "$1" "$2/value"
    while jq -ce 'first(.. | objects | select(.meta?._type? == "gradio.FileData" or (has("path") and has("orig_name"))))' \
        "$2/value" >"$2/file" 2>/dev/null; do
        address=$(jq -r --arg api "$api" '.url // ($api + "/file=" + (.path | split("/") | map(@uri) | join("/")))' "$2/file")
        status=$(fetch -L -o "$2/content" -w '%{http_code}' "$address")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "reading a file"; return 1; }
        [ "$status" = 200 ] || { error lost "reading a file: status $status"; return 1; }
        base64 -w 0 "$2/content" >"$2/content.base64"
        jq -c --rawfile content "$2/content.base64" \
            '{"$file": {name: (.orig_name // (.path | split("/") | last)), base64: $content}}' "$2/file" >"$2/data.read"
        replace "$2/value" "$2/file" "$2/data.read" || return 1
    done
    cat "$2/value"
}

# Splits a stream of events into files of one event each, as they come: folder.
read_events() {
    : >"$1/yields"
    event=""
    while IFS= read -r line; do
        line=${line%"$(printf '\r')"}
        case $line in
        "event: "*) event=${line#event: } ;;
        "data: "*)
            case $event in
            generating)
                printf '%s\n' "${line#data: }" >>"$1/yields"
                if [ "$cancel_after" != null ] && [ "$(wc -l <"$1/yields")" -ge "$cancel_after" ]; then
                    : >"$1/cancelled"
                    return
                fi
                ;;
            complete | error)
                printf '%s' "$event" >"$1/event"
                printf '%s\n' "${line#data: }" >"$1/data"
                return
                ;;
            esac
            ;;
        esac
    done
}

# Answers the step of a folder, which has the files `step` and then `answer`.
play() {
    reason=$(reason_against "$1")
    if [ -n "$reason" ]; then
        jq -cn --arg reason "$reason" '{cannot: $reason}' >"$1/answer"
        return
    fi
    jq -c --arg prefix "$prefix" --slurpfile kept "$work/kept" '{
        data: .data | walk(if type == "object" and has("$kept") then $kept[."$kept"] else . end),
        session_hash: ($prefix + (.session // "main" | @uri))}' "$1/step" >"$1/body"
    upload_files "$1" || return
    if jq -e '.component_function != null' "$1/step" >/dev/null; then
        call_component "$1"
    else
        call "$1"
    fi
}

# Calls a function of a component: folder.
call_component() {
    jq -c --slurpfile body "$1/body" '{data: $body[0].data[0], fn_name: .component_function,
        component_id: .component_id, session_hash: $body[0].session_hash}' "$1/step" >"$1/component"
    status=$(post "$1/component" "$1/reply" "$api/component_server/")
    curl_status=$?
    if [ $curl_status -ne 0 ]; then
        curl_error $curl_status "calling a component" >"$1/answer"
    elif [ "$status" != 200 ]; then
        error refused "status $status: $(head -c 500 "$1/reply")" >"$1/answer"
    else
        jq -c '{value: [.]}' "$1/reply" >"$1/answer"
    fi
}

# Calls an endpoint: folder.
call() {
    path=$api/call/$(jq -r '.endpoint | ltrimstr("/") | @uri' "$1/step")
    status=$(post "$1/body" "$1/joined" "$path")
    curl_status=$?
    [ $curl_status -eq 0 ] || { curl_error $curl_status "joining the queue" >"$1/answer"; return; }
    [ "$status" = 200 ] || { error refused "status $status: $(head -c 500 "$1/joined")" >"$1/answer"; return; }
    event_id=$(jq -er '.event_id' "$1/joined" 2>/dev/null) ||
        { error lost "the reply to the call has no event_id" >"$1/answer"; return; }
    cancel_after=$(jq -r '.cancel_after' "$1/step")
    mkfifo "$1/stream"
    # Not buffered, so that yields come when they come. Ending it closes the stream, which cancels the call.
    curl -sS -g -f --no-buffer --max-time "$(left)" -b "$jar" "$path/$event_id" >"$1/stream" 2>"$1/complaint" &
    reader=$!
    read_events "$1" <"$1/stream"
    if [ -e "$1/event" ] || [ -e "$1/cancelled" ]; then kill "$reader"; fi
    wait "$reader"
    outcome $? "$1" >"$1/outcome"
    : >"$1/yielded"
    while IFS= read -r data; do
        printf '%s\n' "$data" >"$1/yield"
        read_files "$1/yield" "$1" >>"$1/yielded"
    done <"$1/yields"
    jq -c --slurpfile yields "$1/yielded" '. + {yields: $yields}' "$1/outcome" >"$1/answer"
}

# Prints what came of a call without its yields: curl's exit status, folder.
outcome() {
    if [ -e "$2/cancelled" ]; then
        error cancelled ""
    elif [ ! -e "$2/event" ]; then
        case $1 in
        0) error lost "the stream ended without a result" ;;
        22) error refused "$(cat "$2/complaint")" ;;
        *) curl_error "$1" "reading the events" ;;
        esac
    elif ! jq -e 'true' "$2/data" >/dev/null 2>&1; then
        error lost "the event is no JSON: $(head -c 200 "$2/data")"
    elif [ "$(cat "$2/event")" = error ]; then
        error app "$(jq -r 'if type == "object" then .error // .message // tostring elif . == null then "" else tostring end' "$2/data")"
    else
        if jq -e '.keep' "$2/step" >/dev/null; then
            jq -c '.. | objects | select(.meta?._type? == "gradio.FileData")' "$2/data" >>"$work/kept"
        fi
        read_files "$2/data" "$2" >"$2/read"
        jq -c 'if type == "array" then {value: .} else . end' "$2/read"
    fi
}

# Finds where the app has its API, and logs in. Prints an error if that fails.
connect() {
    if jq -e '.credentials != null' "$work/task" >/dev/null; then
        status=$(fetch -c "$jar" -o "$work/login" -w '%{http_code}' \
            --data-urlencode "username=$(jq -r .credentials.username "$work/task")" \
            --data-urlencode "password=$(jq -r .credentials.password "$work/task")" "$url/login")
        curl_status=$?
        [ $curl_status -eq 0 ] || { curl_error $curl_status "logging in"; return; }
        [ "$status" = 200 ] || { error refused "login: status $status: $(head -c 500 "$work/login")"; return; }
    fi
    status=$(fetch -o "$work/config" -w '%{http_code}' "$url/config")
    curl_status=$?
    [ $curl_status -eq 0 ] || { curl_error $curl_status "reading the config"; return; }
    [ "$status" = 200 ] || { error refused "config: status $status: $(head -c 500 "$work/config")"; return; }
    jq -e . "$work/config" >/dev/null 2>&1 || error lost "the config is no JSON"
}

# Answers the task in $work/task.
answer() {
    url=$(jq -r '.url | rtrimstr("/")' "$work/task")
    seconds=$(jq -r '.deadline // 20 | ceil' "$work/task")
    ends=$(($(date +%s) + seconds))
    prefix=curl$$$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
    jar=$work/cookies
    rm -rf "$work"/step* "$jar"
    : >"$jar"
    : >"$work/kept"
    connect >"$work/failure"
    if [ -s "$work/failure" ]; then
        jq -c --slurpfile failure "$work/failure" '{type: "answer", id: .id, steps: [.groups[][] | $failure[0]]}' "$work/task"
        return
    fi
    api=$url$(jq -r '.api_prefix // ""' "$work/config")
    number=0
    for size in $(jq '.groups[] | length' "$work/task"); do
        last=$((number + size))
        ends=$(($(date +%s) + seconds))
        while [ "$number" -lt "$last" ]; do
            here=$work/step$number
            mkdir "$here"
            jq -c --argjson number "$number" '[.groups[][]][$number]' "$work/task" >"$here/step"
            play "$here" &
            number=$((number + 1))
        done
        wait
    done
    last=$number number=0
    while [ "$number" -lt "$last" ]; do
        cat "$work/step$number/answer" 2>/dev/null || error lost "the driver has no answer of curl"
        number=$((number + 1))
    done | jq -cs --slurpfile task "$work/task" '{type: "answer", id: $task[0].id, steps: .}'
}

for command in curl jq base64; do
    command -v "$command" >/dev/null || { echo "$command is not installed; the curl driver needs it." >&2; exit 1; }
done
while IFS= read -r message; do
    printf '%s\n' "$message" >"$work/task"
    case $(jq -r .type "$work/task") in
    hello)
        jq -cn --arg version "$(curl --version | head -n 1 | cut -d ' ' -f 2)" --arg language "sh, $(jq --version)" '{
            type: "hello", protocol: 1, name: "curl", version: $version, language: $language, features: ["auth",
            "cancel", "component", "files", "parallel", "protocol:call", "session_endpoints", "sessions", "yields"]}'
        ;;
    task) answer ;;
    esac
done
