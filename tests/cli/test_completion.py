"""``penstock completion``: the scripts, used by the shells that are installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from penstock.cli.main import main

ASKED = {
    "bash": "{script}\nCOMP_WORDS=(penstock dead re); COMP_CWORD=2; _penstock; echo ${{COMPREPLY[@]}}; complete -p penstock",
    "zsh": "autoload -Uz compinit; compinit -u -D; {script}\necho $_comps[penstock]; functions -M; whence -w _cyclopts_penstock",
    "fish": "{script}\ncomplete -C 'penstock dead re'",
}
ANSWERS = {
    "bash": ["replay", "complete -o bashdefault -o default -F _penstock penstock"],
    "zsh": ["_cyclopts_penstock", "_cyclopts_penstock: function"],
    "fish": ["replay"],
}


@pytest.mark.parametrize("shell", ASKED)
def test_a_shell_completes_words(shell: str, capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    """The shell reads the script without a word, and offers the commands, those of adapters too."""
    assert main(["completion", shell]) == 0
    script, err = capsys.readouterr()
    assert err == ""
    assert "pubmed" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-c", ASKED[shell].format(script=script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb"},
    )
    for answer in ANSWERS[shell]:
        assert answer in done.stdout, done.stderr


def test_in_zsh_words_may_be_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Each argument that has no choices completes files."""
    assert main(["completion", "zsh"]) == 0
    arguments = [
        line.strip(" \\")
        for line in capsys.readouterr().out.splitlines()
        if line.strip().startswith(("'1:", "'2:", "'*:"))
    ]
    assert arguments
    assert all(line.endswith((":_files'", ")'", "->cmds'")) or "->" in line for line in arguments), arguments
