"""`install cron` adds one marked block to the crontab and keeps every other line; `install systemd` writes one unit."""

import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

CRONTAB = """#!/bin/sh
if [ "$1" = -l ]; then
  [ -f "{file}" ] || {{ echo "no crontab for me" >&2; exit 1; }}
  {broken}
  cat "{file}"
elif [ "$1" = -r ]; then
  rm "{file}"
else
  cat > "{file}"
fi
"""


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A crontab program of our own at the front of PATH; gives the file that it keeps."""
    file = tmp_path / "kept"

    def make(broken: str = "") -> Path:
        program = tmp_path / "bin/crontab"
        program.parent.mkdir(exist_ok=True)
        program.write_text(CRONTAB.format(file=file, broken=broken))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return file

    return make


def test_the_block_is_added_once_and_other_lines_stay(desk, crontab) -> None:
    file = crontab()
    file.write_text("MAILTO=me\n0 5 * * * backup   # mine")

    assert desk.ok("install", "cron", "--json").json["changed"] is True
    once = file.read_text()
    assert desk.ok("install", "cron", "--json").json["changed"] is False

    assert file.read_text() == once
    assert once.startswith("MAILTO=me\n0 5 * * * backup   # mine\n# clawfiles begin ")
    assert once.count("* * * * * cd ") == 1


def test_an_empty_crontab_is_made(desk, crontab) -> None:
    file = crontab()

    desk.ok("install", "cron")

    assert file.read_text() == desk.ok("install", "cron", "--print").out


def test_a_changed_block_is_replaced_where_it_stands(desk, crontab) -> None:
    file = crontab()
    root = desk.root
    file.write_text(f"first\n# clawfiles begin {root}\nold line\n# clawfiles end {root}\nlast\n")

    desk.ok("install", "cron")

    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("first", "last", 5)
    assert "old line" not in lines


def test_a_crontab_that_cannot_be_read_is_never_written(desk, crontab) -> None:
    file = crontab(broken="echo 'permission denied' >&2; exit 1")
    file.write_text("mine\n")

    answer = desk("install", "cron")

    assert answer.status == 6
    assert "permission denied" in answer.err
    assert file.read_text() == "mine\n"


def test_without_a_crontab_program_the_way_out_is_named(desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    answer = desk("install", "cron")

    assert answer.status == 3
    assert "--print" in answer.err


def test_the_line_runs_a_heartbeat_as_cron_would_run_it(desk, tmp_path: Path, capsys) -> None:
    from claw_files.cli import run

    odd = tmp_path / "it's 100% $HOME; a team"
    odd.mkdir()
    (odd / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))
    capsys.readouterr()
    assert run(["-C", str(odd), "install", "cron", "--print"]) == 0
    line = capsys.readouterr().out.splitlines()[1]

    assert not line.replace("\\%", "").count("%"), "cron reads a bare % as the end of the command"
    command = line.removeprefix("* * * * * ").replace("\\%", "%")
    here = os.getcwd()
    env = {"PYTHONPATH": here, "HOME": str(tmp_path)}
    done = subprocess.run(["/bin/sh", "-c", command], env=env, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.path.isabs(shlex.split(command.split(" CLAWFILES_WORKSPACE=")[1])[1])


def test_a_path_with_a_line_break_is_refused(desk, tmp_path: Path) -> None:
    from claw_files.cli import run

    odd = tmp_path / "a\n* * * * * rm -rf b"
    odd.mkdir()
    (odd / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))

    assert run(["-C", str(odd), "install", "cron", "--print"]) == 2


def test_removing_takes_out_the_block_and_nothing_else(desk, crontab) -> None:
    file = crontab()
    before = "MAILTO=me\n0 5 * * * backup\n# clawfiles begin /other\n* * * * * theirs\n# clawfiles end /other\n"
    file.write_text(before)
    block = desk.ok("install", "cron", "--json").json["block"]

    shown = desk.ok("install", "cron", "--remove", "--print", "--json").json
    assert (shown["block"], shown["changed"]) == (block, False)
    assert block in file.read_text()
    removed = desk.ok("install", "cron", "--remove", "--json").json

    assert (removed["block"], removed["changed"]) == (block, True)
    assert file.read_text() == before
    assert desk.ok("install", "cron", "--remove", "--json").json["changed"] is False


def test_a_crontab_that_was_made_for_the_block_goes_with_it(desk, crontab) -> None:
    file = crontab()
    desk.ok("install", "cron")

    desk.ok("install", "cron", "--remove")

    assert not file.exists()


def test_the_installed_unit_is_shown(desk, crontab) -> None:
    file = crontab()

    shown = desk.ok("install", "cron").out

    assert file.read_text() in shown
    assert "to your crontab" in shown


# --- systemd

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "{log}"
{does}
"""
NOBODY = 65534
MANAGER = "/usr/lib/systemd/systemd"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The HOME of the test."""
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.setenv("HOME", str(made))
    return made


@pytest.fixture
def units(home: Path) -> Path:
    """Where the user's units are."""
    return home / ".config/systemd/user"


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A systemctl of our own at the front of PATH; gives the lines that it was called with."""

    def make(does: str = "") -> Path:
        program, log = tmp_path / "bin/systemctl", tmp_path / "typed"
        program.parent.mkdir(exist_ok=True)
        program.write_text(SYSTEMCTL.format(log=log, does=does))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return log

    return make


def values(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def test_the_unit_is_written_once_and_shown_with_its_place(desk, units: Path) -> None:
    first = desk.ok("install", "systemd")
    path = units / "clawfiles-team.service"
    made = path.stat().st_ino
    second = desk.ok("install", "systemd", "--json").json

    assert path.read_text() in first.out
    assert f"written to {path}" in first.out
    assert "systemctl --user enable --now clawfiles-team.service" in first.out
    assert (second["changed"], second["path"], second["unit"]) == (False, str(path), path.read_text())
    assert path.stat().st_ino == made
    assert sorted(os.listdir(units)) == ["clawfiles-team.service"]


def test_an_agent_of_a_compartment_installs_for_the_whole_workspace(desk, units: Path, crontab) -> None:
    file = crontab()
    config = desk.read("clawfiles.toml")
    block = desk.ok("install", "cron", "--json").json["block"]
    unit = desk.ok("install", "systemd", "--json").json["unit"]
    desk.write("clawfiles.toml", f"{config}\n[agents.shield]\ncompartment = true\n")

    assert desk.ok("install", "systemd", "--json", by="shield").json["unit"] == unit
    assert desk.ok("install", "cron", "--remove", "--json", by="shield").json["block"] == block
    assert desk.ok("install", "systemd", "--remove", "--json", by="shield").json["changed"] is True
    assert not file.exists()


def test_printing_a_unit_writes_nothing(desk, home: Path, units: Path) -> None:
    printed = desk.ok("install", "systemd", "--print").out

    assert os.listdir(home) == []
    desk.ok("install", "systemd")
    assert (units / "clawfiles-team.service").read_text() == printed


def test_the_unit_is_stopped_later_than_the_daemon_has_drained(desk, units: Path) -> None:
    desk.write("clawfiles.toml", desk.read("clawfiles.toml") + '\n[daemon]\ndrain = "10m"\n')

    unit = desk.ok("install", "systemd", "--json").json["unit"]

    assert values(unit, "TimeoutStopSec") == ["660s"]
    assert values(unit, "KillMode") == ["process"]


def test_a_changed_unit_is_replaced_and_its_daemon_started_anew(desk, units: Path) -> None:
    desk.ok("install", "systemd")
    desk.write("clawfiles.toml", desk.read("clawfiles.toml") + '\n[daemon]\ndrain = "10m"\n')

    again = desk.ok("install", "systemd", "--json").json

    assert again["changed"] is True
    assert again["commands"][-1] == "systemctl --user restart clawfiles-team.service"
    assert "TimeoutStopSec=660s" in (units / "clawfiles-team.service").read_text()


@pytest.mark.parametrize("options", [(), ("--remove",)])
def test_somebody_elses_unit_of_that_name_stays(desk, units: Path, options: tuple[str, ...]) -> None:
    units.mkdir(parents=True)
    path = units / "clawfiles-team.service"
    path.write_text("[Service]\nExecStart=/bin/true\n")

    answer = desk("install", "systemd", *options)

    assert answer.status == 4
    assert "not made by clawfiles" in answer.err and "--name" in answer.err
    assert path.read_text() == "[Service]\nExecStart=/bin/true\n"


@pytest.mark.parametrize("options", [(), ("--remove",)])
def test_the_unit_of_another_workspace_of_that_name_stays(
    desk, units: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    from claw_files.cli import run

    other = tmp_path / "other/team"
    other.mkdir(parents=True)
    (other / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))
    assert run(["-C", str(other), "install", "systemd"]) == 0
    theirs = (units / "clawfiles-team.service").read_text()

    answer = desk("install", "systemd", *options)

    assert answer.status == 4
    assert str(other) in answer.err
    assert (units / "clawfiles-team.service").read_text() == theirs


def test_a_unit_with_a_name_of_its_own_is_found_by_it_the_next_time(desk, units: Path) -> None:
    desk.ok("install", "systemd", "--name", "night-shift")

    assert desk.ok("install", "systemd", "--json").json["name"] == "clawfiles-night-shift.service"
    assert desk.ok("install", "systemd", "--remove", "--json").json["changed"] is True
    assert os.listdir(units) == []


@pytest.mark.parametrize("options", [(), ("--remove",)])
def test_a_unit_that_was_edited_by_hand_stays(desk, units: Path, options: tuple[str, ...]) -> None:
    desk.ok("install", "systemd")
    path = units / "clawfiles-team.service"
    path.write_text(path.read_text().replace("[Install]", "MemoryMax=2G\n[Install]"))

    answer = desk("install", "systemd", *options)

    assert answer.status == 4
    assert "systemctl --user edit clawfiles-team.service" in answer.err
    assert "MemoryMax=2G" in path.read_text()


def test_a_masked_unit_stays_masked(desk, units: Path) -> None:
    units.mkdir(parents=True)
    (units / "clawfiles-team.service").symlink_to("/dev/null")

    assert desk("install", "systemd").status == 4
    assert (units / "clawfiles-team.service").is_symlink()


def test_removing_a_unit_leaves_everything_as_it_was_before(desk, units: Path) -> None:
    wants = units / "default.target.wants"
    wants.mkdir(parents=True)
    (units / "other.service").write_text("theirs")
    (wants / "other.service").symlink_to(units / "other.service")
    before = sorted(units.rglob("*"))
    desk.ok("install", "systemd")
    (wants / "clawfiles-team.service").symlink_to(units / "clawfiles-team.service")  # as `systemctl enable` does

    removed = desk.ok("install", "systemd", "--remove", "--json").json

    assert sorted(units.rglob("*")) == before
    assert removed["commands"] == [
        "systemctl --user stop clawfiles-team.service",
        "systemctl --user daemon-reload",
    ]
    assert desk.ok("install", "systemd", "--remove", "--json").json["changed"] is False


def test_a_unit_can_be_removed_while_the_configuration_is_wrong(desk, units: Path) -> None:
    desk.ok("install", "systemd")
    desk.write("clawfiles.toml", "nonsense")

    assert desk("install", "systemd").status == 6
    desk.ok("install", "systemd", "--remove")

    assert os.listdir(units) == []


def test_now_types_the_lines_itself(desk, units: Path, systemctl) -> None:
    log = systemctl()

    assert desk.ok("install", "systemd", "--now", "--json").json["commands"] == []
    desk.ok("install", "systemd", "--remove", "--now")

    assert log.read_text().splitlines() == [
        "--version",
        "--user daemon-reload",
        "--user enable --now clawfiles-team.service",
        "--version",
        "--user stop clawfiles-team.service",
        "--user daemon-reload",
    ]


def test_a_daemon_that_cannot_be_stopped_keeps_its_unit(desk, units: Path, systemctl) -> None:
    desk.ok("install", "systemd")
    systemctl('[ "$2" = stop ] && { echo "Failed to connect to bus" >&2; exit 1; }; exit 0')

    answer = desk("install", "systemd", "--remove", "--now")

    assert answer.status == 8
    assert "Failed to connect to bus" in answer.err
    assert os.listdir(units) == ["clawfiles-team.service"]


def test_now_without_systemctl_writes_nothing(desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home))

    answer = desk("install", "systemd", "--now")

    assert answer.status == 3
    assert os.listdir(home) == []


@pytest.mark.parametrize("name", ["../evil", "a b", "", "-x", "a\nb", "x" * 101])
def test_a_name_that_is_none_is_refused(desk, home: Path, name: str) -> None:
    answer = desk("install", "systemd", "--name", name)

    assert answer.status == (0 if name == "" else 2)
    assert ("evil" in str(list(home.rglob("*")))) is False


@pytest.mark.parametrize("odd", ["a\nExecStartPre=rm -rf b", "a\tb", os.fsdecode(b"a\xffb")])
def test_a_path_that_no_unit_can_hold_is_refused(desk, home: Path, tmp_path: Path, odd: str) -> None:
    from claw_files.cli import run

    root = tmp_path / odd
    root.mkdir()
    (root / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))

    assert run(["-C", str(root), "install", "systemd"]) == 2
    assert os.listdir(home) == []


ODD = 'it\'s 100%h "odd" $HOME ${PATH};\\x \\'
ODD_BIN = "100%h $HOME ${PATH};x "  # quotes and backslashes in a program's name are refused


@pytest.fixture
def odd_unit(desk, units: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unit of a workspace, and of a program, with everything in their names that a unit reads as special."""
    from claw_files.cli import run

    root, programs = tmp_path / ODD, tmp_path / f"bin {ODD_BIN}"
    for folder in (root, programs):
        folder.mkdir()
    (root / "clawfiles.toml").write_text(desk.read("clawfiles.toml"))
    program = programs / "clawfiles"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", f"/usr/bin:{programs}")
    assert run(["-C", str(root), "install", "systemd", "--name", "odd"]) == 0
    return units / "clawfiles-odd.service"


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may read: systemd's test mode refuses to be root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    runtime = folder / "run"
    runtime.mkdir()
    if os.geteuid() == 0:
        os.chown(runtime, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def test_systemd_finds_nothing_wrong_with_the_unit(odd_unit: Path, home: Path, public: Path) -> None:
    if not (verify := shutil.which("systemd-analyze", path="/usr/bin:/bin")):
        pytest.skip("there is no systemd-analyze")
    # A short one: other programs' units name sockets there, and a long name is an error of theirs.
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": f"{public}/run", "PATH": "/usr/bin:/bin"}

    done = subprocess.run([verify, "--user", "verify", odd_unit], env=environment, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_systemd_reads_what_we_meant(odd_unit: Path, public: Path, tmp_path: Path) -> None:
    if not os.path.exists(MANAGER) or (os.geteuid() == 0 and not shutil.which("setpriv", path="/usr/bin:/bin")):
        pytest.skip("there is no systemd to ask")
    units = public / ".config/systemd/user"
    units.mkdir(parents=True)
    shutil.copy(odd_unit, units)
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*nobody, MANAGER, "--user", "--test", f"--unit={odd_unit.name}"]
    environment = {"HOME": str(public), "XDG_RUNTIME_DIR": f"{public}/run", "PATH": "/usr/bin:/bin"}

    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout
    unit = told.partition(f"-> Unit {odd_unit.name}:")[2].partition("-> Unit ")[0]
    facts = dict(line.strip().partition(": ")[::2] for line in unit.splitlines())
    line = unit.partition("-> ExecStart:")[2].partition("Command Line: ")[2].partition("\n")[0]
    words = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True).stdout.splitlines()

    root, program = str(tmp_path / ODD), f"{tmp_path}/bin {ODD_BIN}/clawfiles"
    assert values(odd_unit.read_text(), "ExecStart")[0].startswith(':"'), "a `$` would be read as a variable"
    assert words == [program, "-C", root, "daemon", "run"]
    assert facts["WorkingDirectory"] == root
    assert facts["Environment"].startswith(f"PATH=/usr/bin:{tmp_path}/bin {ODD_BIN}:")
    assert facts["Description"] == f"clawfiles daemon ({root})"
    assert (facts["Type"], facts["Restart"], facts["KillMode"]) == ("notify", "on-failure", "process")
    assert (facts["WatchdogSec"], facts["TimeoutStopSec"], facts["OOMPolicy"]) == ("2min", "2min", "continue")


def test_what_the_unit_starts_is_ready_reloads_and_ends_as_its_type_promises(desk, home: Path, tmp_path: Path) -> None:
    unit = desk.ok("install", "systemd", "--json").json["unit"]
    (folder,), (start,) = values(unit, "WorkingDirectory"), values(unit, "ExecStart")
    path = shlex.split(values(unit, "Environment")[0])[0].removeprefix("PATH=")
    address = str(tmp_path / "notify")
    environment = {"PATH": path, "HOME": str(home), "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "120000000"}
    environment["PYTHONPATH"] = os.getcwd()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(30)
        daemon = subprocess.Popen(shlex.split(start), cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        try:

            def hears(wanted: str) -> None:
                while not manager.recv(1000).decode().startswith(wanted):
                    pass

            hears("READY=1")
            hears("WATCHDOG=1")
            daemon.send_signal(signal.SIGHUP)
            hears("RELOADING=1")
            hears("READY=1")
            daemon.send_signal(signal.SIGTERM)
            hears("STOPPING=1")
            hears("EXTEND_TIMEOUT_USEC=120000000")
            assert daemon.wait(30) == 0
        finally:
            daemon.kill()
            daemon.wait()


def test_the_doctor_knows_a_unit(desk, home: Path, crontab) -> None:
    crontab()
    assert desk("doctor", "--json").json["notices"]

    desk.ok("install", "systemd")

    assert desk("doctor", "--json").json["notices"] == []
