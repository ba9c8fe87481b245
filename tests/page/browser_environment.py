"""What the page's checks need: selenium in an environment of their own, and a browser."""
import os, shutil, sys
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'cluster'))
import environment

PROGRAMS = ('chromium', 'chromedriver')  # Debian's packages chromium and chromium-driver


def enter(script, count):
    """Runs the script again by that environment's Python, unless it already does. `count` cases are skipped where there is none."""
    for program in PROGRAMS:
        if not shutil.which(program): environment.skip(f'there is no {program} on the PATH; Debian has it in chromium and chromium-driver', count)
    environment.enter(script, 'page', ['selenium==4.51.0'], count)
