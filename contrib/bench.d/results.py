# SPDX-License-Identifier: MIT OR Apache-2.0
"""What was measured: kept by cases, shown as a table, written as JSON and CSV, compared.

A case is one operation of one group of one part, with the samples of each side. What counts is how
many times as fast datawal is as a side of the same case: the medians of one run, divided."""
import csv
import json
import statistics

OURS = "datawal"
MORE_IS_BETTER = {"MB/s"}
# A ratio, in words, of parts in which it is none of speeds.
WHAT = {"requests": "times as many it is", "memory": "times as little it takes"}


class Results:
    def __init__(self, about):
        self.about = about
        self.cases = {}

    def add(self, case, unit, side, value):
        """case: (part, group, operation)."""
        found = self.cases.setdefault(case, {"unit": unit, "sides": {}})
        found["sides"].setdefault(side, []).append(value)

    def as_json(self):
        return {"about": self.about, "cases": [
            {"part": part, "group": group, "operation": operation, "unit": case["unit"],
             "sides": {side: {"median": statistics.median(samples), "samples": samples}
                       for side, samples in case["sides"].items()},
             "ratios": ratios_of(case)}
            for (part, group, operation), case in self.cases.items()]}

    def write_json(self, path):
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")

    def write_csv(self, path):
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["part", "group", "operation", "side", "unit", "median", "samples",
                             "times as fast as it is datawal"])
            for names, case in self.cases.items():
                ratios = ratios_of(case)
                for side, samples in case["sides"].items():
                    ratio = ratios.get(side)
                    writer.writerow([*names, side, case["unit"], statistics.median(samples),
                                     " ".join(map(str, samples)),
                                     "" if ratio is None else f"{ratio:.3f}"])


def ratios_of(case):
    """side -> how many times as fast as it datawal is."""
    medians = {side: statistics.median(samples) for side, samples in case["sides"].items()}
    ours = medians.pop(OURS, None)
    if not ours:
        return {}
    if case["unit"] in MORE_IS_BETTER:
        return {side: ours / other for side, other in medians.items() if other}
    return {side: other / ours for side, other in medians.items()}


def groups_of(cases):
    """(part, group) -> its cases, by operation."""
    found = {}
    for (part, group, operation), case in cases.items():
        found.setdefault((part, group), {})[operation] = case
    return found


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show_group(part, group, operations):
    sides = list(dict.fromkeys(side for case in operations.values() for side in case["sides"]))
    what = WHAT.get(part, "times as fast datawal is")
    print(f"\n{part}: {group}. Behind each figure: how many {what}.")
    print(f"{'':<26}{'':<6}" + "".join(f"{side:>12}{'':<7}" for side in sides))
    for operation, case in operations.items():
        ratios = ratios_of(case)
        cells = ""
        for side in sides:
            samples = case["sides"].get(side)
            ratio = f"x{ratios[side]:,.{2 if ratios[side] < 100 else 0}f}" if side in ratios else ""
            cells += f"{number(statistics.median(samples)) if samples else '-':>12}{ratio:>7}"
        print(f"{operation:<26}{case['unit']:<6}{cells}".rstrip(), flush=True)


class BadFile(Exception):
    """A file that is not what this program writes."""


def read_json(path):
    try:
        found = json.loads(path.read_text())
        cases = {(case["part"], case["group"], case["operation"]):
                 {"unit": case["unit"], "sides": {side: figures["samples"] for side, figures
                                                  in case["sides"].items()}}
                 for case in found["cases"]}
        for case in cases.values():
            ratios_of(case)
        return cases
    except (OSError, ValueError, KeyError, TypeError, AttributeError,
            statistics.StatisticsError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a result of this program"
        raise BadFile(f"{path}: {reason}") from None


def comparable(case):
    """What tells something in another run too: the ratios, or, without any, our own figure."""
    ratios = {f", beside {side}": ratio for side, ratio in ratios_of(case).items()}
    ours = case["sides"].get(OURS)
    return ratios or ({f", {case['unit']}": statistics.median(ours)} if ours else {})


def compare(first, second):
    """Prints each ratio of both, and by how much datawal is faster in the second."""
    common = [names for names in first if names in second]
    for names in common:
        one, other = comparable(first[names]), comparable(second[names])
        for what in filter(other.get, filter(one.get, one)):
            print(f"{': '.join(names)}{what}: {number(one[what])}, then {number(other[what])}: "
                  f"x{other[what] / one[what]:.2f}")
    alone = len(first.keys() ^ second.keys())
    if alone:
        print(f"{alone} cases are in one of them only")
    return bool(common)
