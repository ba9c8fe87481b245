"""What the checks of k8s/ need: the validator and a gRPC client in an environment of their own, and tools."""
import os, shutil, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
import environment
from environment import skip as skip_all


def enter(script, count):
    """Runs the script again by that environment's python, unless it already does. `count` cases are skipped where that is impossible."""
    environment.enter(script, 'k8s', ['kubernetes-validate==1.37.0', 'grpcio==1.85.1', 'grpcio-health-checking==1.85.1'], count)


def need(tools, count):
    for tool in tools:
        if not shutil.which(tool): skip_all(f'no {tool} on the PATH', count)
