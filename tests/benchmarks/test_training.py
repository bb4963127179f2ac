"""The benchmark of training on a few captions, with a peer that answers made-up times."""

import re
import sys

import pytest

from benchmarks import training


@pytest.mark.slow("compiles a network")
def test_training_benchmark_compares_rounds(tmp_path, monkeypatch, capsys):
    peer = tmp_path / "peer.py"
    peer.write_text("import sys\nfor _ in sys.stdin:\n    print(1e6, 2e6, flush=True)\n")
    monkeypatch.setattr(training, "PEER", peer)
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(training, "CASES", (("mrnn", 2, 2),))
    monkeypatch.setattr(training, "make_deterministic", lambda: None)
    training.run(sys.executable)
    machine, _, _, _, row = capsys.readouterr().out.splitlines()
    assert machine.startswith("`python -m benchmarks training --peer PYTHON`, ")
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "`mrnn`, 2"
    ratios = [[float(number) for number in re.findall(r"[0-9.]+", cell)] for cell in cells[2:]]
    assert [len(each) for each in ratios] == [2, 2]
    assert ratios[1][0] > 1e4  # the peer's million seconds against a few of ours
