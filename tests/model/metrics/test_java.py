"""Programs in Java may be missing, crash, hang or print nonsense; here they are scripts in place of a runtime."""

import os
import sys
import time

import pytest

from model.metrics.captions import score_captions, score_systems
from model.metrics.java import ScorerMissing, find_java, package_directory, run_java
from model.metrics.scorers import meteor

STACK_TRACE = """Exception in thread "main" java.lang.NumberFormatException: For input string: "0,85"
\tat java.base/java.lang.Double.parseDouble(Double.java:651)
\t... 3 more
"""


@pytest.fixture
def runtime(tmp_path):
    """Write a program that takes the place of the Java runtime."""

    def write(script):
        path = tmp_path / "java"
        path.write_text(f"#!{sys.executable}\n{script}")
        path.chmod(0o755)
        return str(path)

    return write


def test_java_runs_in_english_in_any_locale(runtime, tmp_path):
    program = runtime("import sys; print(sys.argv[1:], sys.stdin.read())")
    printed = run_java("METEOR", [program, "-jar", "x.jar"], tmp_path, "a caption", 30)
    assert printed.startswith("['-Duser.language=en', '-Duser.country=US', ")
    assert printed.endswith("'-jar', 'x.jar'] a caption\n")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            f"import sys; sys.exit({STACK_TRACE!r})",
            r'NumberFormatException: For input string: "0,85"',
        ),
        ("raise SystemExit(3)", "status 3"),
    ],
)
def test_failing_java_program_is_reported_with_its_last_line(runtime, tmp_path, script, reason):
    with pytest.raises(ScorerMissing, match=reason):
        run_java("METEOR", [runtime(script)], tmp_path, "", 30)


def test_hanging_java_program_is_killed(runtime, tmp_path):
    program = runtime("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(ScorerMissing, match="did not end within 2 s"):
        run_java("SPICE", [program], tmp_path, "", 2)
    assert time.monotonic() - started < 60
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_unstartable_java_program_is_reported(tmp_path):
    with pytest.raises(ScorerMissing, match="cannot be started"):
        run_java("SPICE", [str(tmp_path / "nothing")], tmp_path, "", 5)


def test_missing_java_runtime_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScorerMissing, match="no Java runtime was found; SPICE needs one"):
        find_java("SPICE", bundled=False)
    with pytest.raises(ScorerMissing, match=r"needs the package nothing_here; run `pip install 'm-rnn\[coco\]'`"):
        package_directory("nothing_here", "METEOR")


@pytest.mark.parametrize(
    ("printed", "reason"),
    [("", "answered 0 of 1"), ("Version: 1.5", "no numbers"), ("1 2\n", "answered 1 of 1|no numbers|numbers")],
)
def test_meteor_without_its_numbers_is_missing(monkeypatch, printed, reason):
    monkeypatch.setattr(meteor, "run_java", lambda *arguments: printed)
    scores = score_captions({"1": "a dog"}, {"1": ["a dog"]}, ["METEOR"])
    assert "METEOR" not in scores.corpus
    assert scores.left_out["METEOR"].startswith("the METEOR program")


def test_java_starts_once_for_several_systems(monkeypatch):
    calls = []

    def run(scorer, command, directory, text, seconds):
        calls.append(text.splitlines())
        return "".join(f"{' '.join(['1'] * meteor._NUMBERS)}\n" for _ in calls[0])

    monkeypatch.setattr(meteor, "run_java", run)
    systems = {"a": {"1": "a dog", "2": "cats"}, "b": {"2": "two cats", "1": "dogs"}}
    score_systems(systems, {"1": ["a dog runs", "dogs run"], "2": ["two cats"]}, ["METEOR"])
    assert calls == [
        [
            "SCORE ||| a dog runs ||| dogs run ||| a dog",
            "SCORE ||| two cats ||| cats",
            "SCORE ||| two cats ||| two cats",
            "SCORE ||| a dog runs ||| dogs run ||| dogs",
        ]
    ]
