"""Virtual environments of the checks' own, in build/, with published packages as they are; made at the first run."""
import os, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def make(name, packages, seconds=300, no_deps=()):
    """(the folder, '') or (None, why it cannot be made)."""
    folder = os.path.join(ROOT, 'build', 'venv-' + name)
    stamp, wanted = os.path.join(folder, 'installed'), ' '.join([*packages, *no_deps])
    if os.path.exists(stamp) and open(stamp).read() == wanted: return folder, ''
    pip = [os.path.join(folder, 'bin', 'pip'), 'install', '-q', '--disable-pip-version-check']
    commands = [[sys.executable, '-m', 'venv', '--clear', folder]]
    if packages: commands.append([*pip, *packages])
    if no_deps: commands.append([*pip, '--no-deps', *no_deps])
    for command in commands:
        try: made = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except (OSError, subprocess.TimeoutExpired) as error: return None, str(error)
        if made.returncode: return None, (made.stderr or made.stdout).strip().splitlines()[-1][-200:]
    with open(stamp, 'w') as file: file.write(wanted)
    return folder, ''


def skip(text, cases):
    """Ends the check, loudly."""
    print(f'SKIPPED, nothing was looked at: {text}\n0 passed, 0 failed, {cases} skipped')
    sys.exit(0)


def enter(script, name, packages, cases):
    """Runs the script again by that environment's python, unless it already does; where there is none, its cases are skipped, loudly."""
    if os.path.basename(sys.prefix) == 'venv-' + name: return
    folder, why = make(name, packages)
    if folder is None: skip(f'{" ".join(packages)} cannot be installed here: {why}', cases)
    python = os.path.join(folder, 'bin', 'python')
    os.execv(python, [python, os.path.abspath(script), *sys.argv[1:]])
