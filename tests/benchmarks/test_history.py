# SPDX-License-Identifier: Apache-2.0
"""Recorded runs, what two of them say together, and the exponents of curves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import check, compare, growth, history
from benchmarks.compare import Change, Pair, Ratio

ABOUT = {
    "date": "2026-11-25T1034", "commit": "2abc6969", "library": "0.1.0", "python": "3.11.7", "system": "Linux",
    "cores": 2, "rounds": 5, "versions": {"httpx": "0.28.1"},
}  # fmt: skip
PAIR = Pair("latency", "ms", "transport-sync", "httpx-sync")


def document(*ours: float, bare: float = 1.0, **about: object) -> dict:
    drivers = {"transport-sync": {"ms": [*ours]}, "httpx-sync": {"ms": [bare] * len(ours)}}
    return {"about": ABOUT | about, "results": {"latency": drivers}}


def change(before: float, after: float, noise: float = 0.0, margin: float = 0.25) -> Change:
    return Change(PAIR, Ratio(before, noise), Ratio(after, 0.0), margin)


class TestRatios:
    def test_a_ratio_is_the_median_of_the_rounds_ratios(self) -> None:
        # The machine was half as fast in the second round, for both.
        assert compare.ratio([2, 4, 3], [1, 2, 1]) == Ratio(2.0, 0.125)

    def test_less_is_better_whatever_the_figure(self) -> None:
        assert compare.ratio([100, 100], [200, 200], more_is_better=True) == Ratio(2.0, 0.0)

    def test_one_wild_round_of_five_is_no_noise(self) -> None:
        assert compare.ratio([2, 2, 2, 2, 50], [1] * 5) == Ratio(2.0, 0.0)

    def test_a_driver_that_stopped_early_has_fewer_rounds(self) -> None:
        assert compare.ratio([2], [1, 7]) == Ratio(2.0, 0.0)

    def test_rounds_without_a_figure_give_no_ratio(self) -> None:
        assert compare.ratio([0], [1]) is None
        assert compare.ratio([], [1]) is None

    def test_every_driver_is_compared_with_the_library_below_it(self) -> None:
        found = {(one.ours, one.bare) for one in compare.pairs(history.load("newest")["results"])}
        assert found == {*compare.BARE.items(), *compare.BARE_WEBSOCKET.items()}


class TestVerdicts:
    @pytest.mark.parametrize(
        ("before", "after", "noise", "verdict", "too_much"),
        [
            (2.0, 2.0, 0.0, "within the noise", False),
            (2.0, 2.2, 0.12, "within the noise", False),
            (2.0, 2.2, 0.05, "grew", False),
            (2.0, 1.5, 0.05, "fell", False),
            (2.0, 2.6, 0.04, "grew", True),
            (2.0, 2.6, 0.10, "grew", False),  # more than the margin, but not more than margin and noise
            (2.0, 9.0, 0.26, "too noisy to tell", False),
        ],
    )
    def test_only_growth_beyond_margin_and_noise_is_too_much(
        self, before: float, after: float, noise: float, verdict: str, too_much: bool
    ) -> None:
        found = change(before, after, noise)
        assert (found.verdict, found.too_much) == (verdict, too_much)

    def test_the_noise_of_both_results_counts(self) -> None:
        assert Change(PAIR, Ratio(2, 0.1), Ratio(2, 0.2), 0.25).verdict == "too noisy to tell"

    def test_growth_that_is_not_measured_twice_is_not_confirmed(self) -> None:
        grown, same = change(2, 3), change(2, 2)
        assert check.confirmed([grown], [grown]) == [grown]
        assert check.confirmed([grown], [same]) == check.confirmed([same], [grown]) == []


class TestCompareCommand:
    def compare(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *results: dict, margin: str = "0.25"
    ) -> int:
        paths = [tmp_path / f"{name}.json" for name in "ab"]
        for path, result in zip(paths, results, strict=True):
            history.write(result, path)
        words = ["compare", *map(str, paths), "--margin", margin]
        monkeypatch.setattr("sys.argv", ["benchmarks", *words])
        return command.main()

    def test_growth_beyond_the_margin_exits_with_1(self, monkeypatch, tmp_path, capsys) -> None:
        assert self.compare(monkeypatch, tmp_path, document(2, 2, 2), document(3, 3, 3)) == 1
        printed = capsys.readouterr().out
        assert "+50%" in printed
        assert "grew, by more than the margin" in printed
        assert "Grown by more than 25%: 1." in printed

    def test_a_larger_margin_allows_it(self, monkeypatch, tmp_path) -> None:
        assert self.compare(monkeypatch, tmp_path, document(2, 2, 2), document(3, 3, 3), margin="0.6") == 0

    def test_noise_beyond_the_margin_exits_with_0(self, monkeypatch, tmp_path, capsys) -> None:
        assert self.compare(monkeypatch, tmp_path, document(1, 2, 3), document(2, 6, 9)) == 0
        assert "1 too noisy to tell" in capsys.readouterr().out

    def test_other_versions_are_named(self, monkeypatch, tmp_path, capsys) -> None:
        other = document(2, python="3.13.0", versions={"httpx": "0.29"})
        assert self.compare(monkeypatch, tmp_path, document(2), other) == 0
        assert "Python 3.11.7 -> 3.13.0, httpx 0.28.1 -> 0.29." in capsys.readouterr().out

    def test_results_without_a_common_ratio_say_so(self, monkeypatch, tmp_path, capsys) -> None:
        assert self.compare(monkeypatch, tmp_path, document(2), {"about": ABOUT, "results": {}}) == 0
        assert "nothing to compare" in capsys.readouterr().out

    def test_an_unknown_result_names_those_there_are(self, monkeypatch, capsys) -> None:
        monkeypatch.setattr("sys.argv", ["benchmarks", "report", "no-such-run"])
        assert command.main() == 2
        assert history.newest().stem in capsys.readouterr().err

    @pytest.mark.parametrize("margin", ["0", "-1", "25"])
    def test_a_margin_is_a_share(self, monkeypatch, tmp_path, capsys, margin) -> None:
        with pytest.raises(SystemExit, match="2"):
            self.compare(monkeypatch, tmp_path, document(2), document(2), margin=margin)
        assert "a margin is a share" in capsys.readouterr().err


class TestHistory:
    def test_a_run_is_a_file_named_by_its_time_and_commit(self, tmp_path) -> None:
        path = history.record(document(2), folder=tmp_path)
        assert path.name == "2026-11-25T1034-2abc6969.json"
        assert json.loads(path.read_text()) == document(2)
        assert history.load(path.stem, tmp_path) == document(2)

    def test_the_newest_of_a_kind_is_found(self, tmp_path) -> None:
        older, newer = document(1), document(2, date="2026-12-01T0007")
        history.record(newer, folder=tmp_path)
        history.record(older, folder=tmp_path)
        history.record(document(3, date="2027-01-01T0000"), "growth", folder=tmp_path)
        assert history.load("newest", tmp_path) == newer
        assert history.newest("growth", tmp_path).name == "growth-2027-01-01T0000-2abc6969.json"

    def test_an_empty_history_says_so(self, tmp_path) -> None:
        with pytest.raises(FileNotFoundError, match="holds no recorded run of kind 'growth'"):
            history.newest("growth", tmp_path)

    def test_the_rounds_of_a_figure_are_one_line(self, tmp_path) -> None:
        history.write(document(2, 3.5), tmp_path / "x.json")
        assert '"ms": [2, 3.5]' in (tmp_path / "x.json").read_text()

    @pytest.mark.parametrize("path", sorted(history.RESULTS.glob("*.json")), ids=lambda path: path.stem)
    def test_every_recorded_run_says_what_it_measured(self, path: Path) -> None:
        about = history.load(path)["about"]
        assert path.stem.endswith(f"{about['date']}-{about['commit']}")
        assert ABOUT.keys() <= about.keys()


class TestExponents:
    @pytest.mark.parametrize(
        ("power", "sizes"), [(0, (10, 100, 1000)), (1, (20, 200, 2000)), (2, (3, 5, 50))]
    )
    def test_the_exponent_of_a_power_is_that_power(self, power: int, sizes: tuple[int, ...]) -> None:
        assert growth.exponent([(size, 7.0 * size**power) for size in sizes]) == pytest.approx(power)

    def test_figures_that_are_not_above_zero_do_not_count(self) -> None:
        assert growth.exponent([(10, 0.0), (100, 5.0), (1000, 50.0)]) == pytest.approx(1)
        assert growth.exponent([(10, -1.0), (100, 5.0)]) is None

    def test_a_curve_has_an_exponent_for_each_cost_and_none_for_totals(self) -> None:
        (curve,) = (one for one in growth.CURVES if one.name == "transports")
        figures = {"ms": [2.0, 9.0, 3.0], "threads": [1.0]}
        found = {
            "about": ABOUT,
            "growth": {"transports": {str(size): {"transport-sync": figures} for size in curve.sizes}},
        }
        assert "| ms to connect one | transport-sync | 3 | 3 | 3 | 0.00 |" in growth.markdown(found)
        assert "| threads | transport-sync | 1 | 1 | 1 |  |" in growth.markdown(found)
        assert "| kB of an idle one | transport-sync | not measured | not measured |" in growth.markdown(
            found
        )
