"""A Python environment of the page's checks, in build/, with selenium; and the browser that they need."""
import os, shutil, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, 'build', 'venv-page')
WANTED = 'selenium==4.51.0'
PROGRAMS = ('chromium', 'chromedriver')  # Debian's packages chromium and chromium-driver


def skip(text, count):
    """Ends the check, loudly."""
    print(f'SKIPPED, no page was looked at: {text}\n0 passed, 0 failed, {count} skipped')
    sys.exit(0)


def enter(script, count):
    """Runs the script again by that environment's Python, unless it already does. `count` cases are skipped where there is none."""
    if sys.prefix == VENV: return
    for program in PROGRAMS:
        if not shutil.which(program): skip(f'there is no {program} on the PATH; Debian has it in chromium and chromium-driver', count)
    python, stamp = os.path.join(VENV, 'bin', 'python'), os.path.join(VENV, 'installed')
    if not os.path.exists(stamp) or open(stamp).read() != WANTED:
        for command in ([sys.executable, '-m', 'venv', '--clear', VENV], [python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', WANTED]):
            try: made = subprocess.run(command, capture_output=True, text=True, timeout=240)
            except (OSError, subprocess.TimeoutExpired) as error: skip(str(error), count)
            if made.returncode: skip((made.stderr or made.stdout).strip().splitlines()[-1], count)
        open(stamp, 'w').write(WANTED)
    os.execv(python, [python, os.path.abspath(script), *sys.argv[1:]])
