"""What the items ask of their surroundings: the built programs, the schema validator, promtool."""
import functools, json, os, shutil, subprocess, tempfile
import yaml

from processes import Processes
from rendered import ROLES, ROOT, Failed, Skipped, expect

VERSIONS = ('1.31', '1.37')
# Objects of operators, whose schemas are not Kubernetes'.
FOREIGN = ('PodMonitor', 'PrometheusRule', 'ScaledObject', 'InferencePool', 'HTTPRoute')


class Site:
    def __init__(self, bin):
        self.bin, self.versions = bin, VERSIONS

    @functools.cache
    def help(self, program, *words):
        self._needs(program)
        return subprocess.run([f'{self.bin}/{program}', *words, '--help'], capture_output=True, text=True, timeout=20).stdout

    def has(self, program, option):
        return f'{option} ' in self.help(program) or f'{option}\n' in self.help(program)

    def front_doors_wait(self):
        doors = all(self.has('atoll-router', o) for o in ('--listen-http', '--listen-metrics'))
        return 'base does not name components/front-doors yet' if doors else 'the router has no --listen-http and --listen-metrics yet'

    def accepts_options(self, program, words, options):
        text = self.help(program, *words)
        for option in options: expect(option.split('=')[0] + ' ' in text or option.split('=')[0] + '\n' in text, f'{program} {" ".join(words)} has no option {option}')

    def accepts_config(self, overlay, role):
        """The program itself reads the pod's file and environment."""
        self._needs(f'atoll-{role}')
        environment = {n: v for n, v in overlay.environment(role).items() if n.startswith('ATOLL_')}
        environment = {**environment, **({'ATOLL_THREADS': '4'} if 'ATOLL_THREADS' in environment else {})}
        with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
            file.write(overlay.config_text(role)); file.flush()
            run = subprocess.run([f'{self.bin}/atoll-{role}', f'--config={file.name}', '--print-config'], capture_output=True, text=True, timeout=20,
                                 env={'PATH': os.environ['PATH'], **environment})
        expect(run.returncode == 0, f'atoll-{role} refuses the configuration of {overlay.name}: {run.stderr.strip()[-300:]}')

    def validate(self, version, objects):
        import kubernetes_validate
        for found in objects:
            if found['kind'] in FOREIGN: continue
            name = f'{found["kind"]} {found["metadata"]["name"]}'
            try: kubernetes_validate.validate(found, version, strict=True)
            except kubernetes_validate.ValidationError as error: raise Failed(f'{version}: {name}: {error.message[:200]} at {".".join(map(str, error.path))}')

    def promtool(self, rules):
        if not shutil.which('promtool'): raise Skipped('no promtool (Debian package prometheus)')
        with tempfile.TemporaryDirectory() as folder:
            with open(f'{folder}/alerts.yaml', 'w') as file: yaml.safe_dump(rules['spec'], file)
            shutil.copy(os.path.join(ROOT, 'tests', 'k8s', 'alerts_test.yaml'), folder)
            for words in (['check', 'rules', 'alerts.yaml'], ['test', 'rules', 'alerts_test.yaml']):
                run = subprocess.run(['promtool', *words], cwd=folder, capture_output=True, text=True, timeout=60)
                expect(run.returncode == 0, f'promtool {" ".join(words)}: {(run.stdout + run.stderr).strip()[-400:]}')

    @functools.cache
    def processes(self):
        self._needs('atoll-router')
        return Processes(self.bin)

    def _needs(self, program):
        if not os.path.exists(f'{self.bin}/{program}'): raise Skipped(f'{program} is not built in {self.bin}')
