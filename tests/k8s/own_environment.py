"""A Python environment of the checks' own, in build/, with the validator and a gRPC client; made at the first run."""
import os, shutil, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(ROOT, 'build', 'k8s_venv')
PACKAGES = ['kubernetes-validate==1.37.0', 'grpcio==1.85.1', 'grpcio-health-checking==1.85.1']


def skip_all(text, count):
    """Ends the check, loudly."""
    print(f'SKIPPED, nothing was looked at: {text}\n0 passed, 0 failed, {count} skipped')
    sys.exit(0)


def enter(script, count):
    """Runs the script again by that environment's python, unless it already does. `count` cases are skipped where that is impossible."""
    if sys.prefix == VENV: return
    made = os.path.join(VENV, 'made_for')
    if not os.path.exists(made) or open(made).read() != ' '.join(PACKAGES):
        for command in ([sys.executable, '-m', 'venv', '--clear', VENV], [f'{VENV}/bin/pip', 'install', '-q', '--disable-pip-version-check', *PACKAGES]):
            run = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if run.returncode: skip_all(f'{" ".join(command[:3])} failed: {run.stderr.strip()[-200:]}', count)
        with open(made, 'w') as file: file.write(' '.join(PACKAGES))
    os.execv(f'{VENV}/bin/python', [f'{VENV}/bin/python', os.path.abspath(script), *sys.argv[1:]])


def need(tools, count):
    for tool in tools:
        if not shutil.which(tool): skip_all(f'no {tool} on the PATH', count)
