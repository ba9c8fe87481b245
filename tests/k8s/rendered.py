"""An overlay as `kubectl kustomize` renders it, with the look-ups that the items of manifest_check need."""
import os, re, subprocess, tempfile
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANIFESTS = os.path.join(ROOT, 'k8s')
ROLES = ('router', 'attention', 'expert')
UNITS = {'': 1, 'm': 1e-3, 'k': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12, 'Ki': 2**10, 'Mi': 2**20, 'Gi': 2**30, 'Ti': 2**40}


class Failed(Exception):
    """The item does not hold."""


class Waits(Exception):
    """The item needs what does not exist yet; the text says what."""


class Skipped(Exception):
    """The item could not be looked at here; the text says what is missing."""


def expect(condition, text):
    if not condition: raise Failed(text)


def quantity(text):
    number, unit = re.fullmatch(r'([0-9.]+)([A-Za-z]*)', str(text)).groups()
    return float(number) * UNITS[unit]


def kustomize(folder):
    """The rendered text of a folder of k8s/."""
    run = subprocess.run(['kubectl', 'kustomize', folder], capture_output=True, text=True, timeout=60)
    expect(run.returncode == 0, f'kubectl kustomize {folder}: {run.stderr.strip()[-300:]}')
    return run.stdout


def with_component(folder, component):
    """An overlay as it would be with a component that it does not name, by a kustomization made for the purpose."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = os.path.realpath(scratch)
        relative = lambda path: os.path.relpath(path, scratch)
        made = {'apiVersion': 'kustomize.config.k8s.io/v1beta1', 'kind': 'Kustomization', 'namespace': 'atoll',
                'resources': [relative(folder)], 'components': [relative(os.path.join(MANIFESTS, 'components', component))]}
        with open(os.path.join(scratch, 'kustomization.yaml'), 'w') as file: yaml.safe_dump(made, file)
        return Rendered(os.path.basename(folder) + '+' + component, kustomize(scratch))


def opened(overlay):
    """The overlay with the router's HTTP and metrics ports, whether it names that component already or not."""
    if 'http' in overlay.ports('router'): return overlay
    found = with_component(f'{MANIFESTS}/overlays/{overlay.name}', 'front-doors')
    found.name = overlay.name
    return found


class Rendered:
    def __init__(self, name, text):
        self.name, self.text = name, text
        self.objects = [o for o in yaml.safe_load_all(text) if o]

    def all(self, kind):
        return [o for o in self.objects if o['kind'] == kind]

    def one(self, kind, name):
        found = [o for o in self.all(kind) if o['metadata']['name'] == name]
        expect(len(found) == 1, f'expected one {kind} {name}, found {len(found)}')
        return found[0]

    def workload(self, role):
        found = [o for kind in ('Deployment', 'StatefulSet') for o in self.all(kind) if o['metadata']['name'] == f'atoll-{role}']
        expect(len(found) == 1, f'expected one workload atoll-{role}, found {len(found)}')
        return found[0]

    def workloads(self):
        return {role: self.workload(role) for role in ROLES}

    def template(self, role):
        return self.workload(role)['spec']['template']

    def pod(self, role):
        return self.template(role)['spec']

    def container(self, role):
        containers = self.pod(role)['containers']
        expect(len(containers) == 1, f'{role}: expected one container, found {len(containers)}')
        return containers[0]

    def environment(self, role):
        """Plain values by name; a value from elsewhere by its path."""
        found = {}
        for entry in self.container(role).get('env', []):
            source = entry.get('valueFrom', {})
            found[entry['name']] = entry.get('value') or next(iter(source.values())).get('fieldPath') or next(iter(source.values())).get('resource')
        return found

    def config(self, role):
        """The file of options that the pod reads, as a map."""
        name = next(v['configMap']['name'] for v in self.pod(role)['volumes'] if v['name'] == 'config')
        return yaml.safe_load(self.one('ConfigMap', name)['data'][f'{role}.yaml'])

    def config_text(self, role):
        name = next(v['configMap']['name'] for v in self.pod(role)['volumes'] if v['name'] == 'config')
        return self.one('ConfigMap', name)['data'][f'{role}.yaml']

    def ports(self, role):
        return {p['name']: p['containerPort'] for p in self.container(role)['ports']}

    def limit(self, role, resource):
        return quantity(self.container(role)['resources']['limits'][resource])
