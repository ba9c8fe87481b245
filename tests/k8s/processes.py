"""What a manifest cannot show, shown once by real processes on loopback: probes, losses, drains. The results are kept, since every
overlay asks for them."""
import functools, glob, json, os, re, signal, socket, subprocess, sys, tempfile, time, urllib.error, urllib.request
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
from local_cluster import TALES, Cluster, alive, finish, wait_until
from rendered import Failed, Waits, expect

PROMPT = 'Once upon a time there was a little girl who lived near the forest.'
NAMES = {'router': 'atoll.v1.InferenceService', 'attention': 'attention', 'expert': 'expert'}


def serving(address, service='', timeout=2):
    """What the kubelet's gRPC probe finds: True for SERVING."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    with grpc.insecure_channel(address, options=[('grpc.enable_http_proxy', 0)]) as channel:
        try: answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=timeout, wait_for_ready=True)
        except grpc.RpcError: return False
        return answer.status == health_pb2.HealthCheckResponse.SERVING


def answers(address, path, timeout=2):
    """Status and body of an HTTP probe; 0 where nobody answers."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f'http://{address}{path}', timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error: return error.code, error.read().decode()
    except OSError: return 0, ''


class Program:
    """One of the programs, started by hand."""

    def __init__(self, bin, program, *arguments, prefix=(), env=None):
        self.log, self.environment = tempfile.NamedTemporaryFile('w+', suffix=f'.{program}.log'), env
        self.process = subprocess.Popen([*prefix, f'{bin}/{program}', *arguments], stdout=self.log, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})

    def said(self):
        return open(self.log.name, errors='replace').read()

    def address(self, seconds=60):
        def found():
            expect(self.process.poll() is None, f'ended with {self.process.poll()}: {self.said()[-400:]}')
            return [line for line in self.said().splitlines() if line.startswith('listening ')]
        return wait_until(found, seconds, 'listening')[0].split()[1]

    def metrics(self):
        """Where a router that listens has its HTTP probes; empty for one without."""
        return next((line.split()[1] for line in self.said().splitlines() if line.startswith('metrics ')), '')

    def live(self, address):
        return answers(self.metrics(), '/livez')[0] == 200 if self.metrics() else serving(address)

    def ready(self, address, name, timeout=2):
        """By the probe that the manifests use: HTTP where the program has it."""
        return answers(self.metrics(), '/readyz', timeout)[0] == 200 if self.metrics() else serving(address, name, timeout)

    def stop(self, sent=signal.SIGKILL):
        if self.process.poll() is None: self.process.send_signal(sent)
        return self.process.wait(20)


class ByHand:
    """Router, attention and expert nodes as separate programs that nobody starts again."""

    def __init__(self, bin, experts=2, router=(), expert=(), env=None):
        self.bin, self.programs, self.expert, self.env = bin, {}, expert, env
        self.start('router', 'atoll-router', '--model', TALES, '--listen', '127.0.0.1:0', '--min-expert-nodes', str(experts), *router)
        self.address = self.programs['router'].address()
        self.join('attention', 'attention-0')
        for i in range(experts): self.join('expert', f'expert-{i}')

    def start(self, name, *command):
        self.programs[name] = Program(self.bin, *command, env=self.env)

    def join(self, role, name):
        self.start(name, f'atoll-{role}', '--model', TALES, '--router', self.address, '--node-id', name, '--transport', 'tcp', '--threads', '1',
                   *(self.expert if role == 'expert' else ()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for program in self.programs.values():
            if program.process.poll() is None: program.stop()

    def ready(self):
        return self.programs['router'].ready(self.address, NAMES['router'])

    def status(self):
        out = subprocess.run([f'{self.bin}/atoll', 'status', '--address', self.address, '--json'], capture_output=True, text=True, timeout=20)
        return json.loads(out.stdout) if out.returncode == 0 else {}

    def start_generate(self, **options):
        command = [f'{self.bin}/atoll', 'generate', '--address', self.address, '--json', '--prompt', PROMPT, '--ignore-eos']
        for name, value in options.items(): command += [f'--{name.replace("_", "-")}', str(value)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def seconds_until(condition, limit, text):
    start = time.time()
    wait_until(condition, limit, text)
    return time.time() - start


def experts_of_checkpoint():
    """How many routed experts the small model has, and their bytes."""
    experts, total = 0, 0
    for path in glob.glob(f'{TALES}/*.safetensors'):
        with open(path, 'rb') as file: header = json.loads(file.read(int.from_bytes(file.read(8), 'little')))
        for name, entry in header.items():
            if '.mlp.experts.' not in name: continue
            experts += name.endswith('.down_proj.weight')
            total += entry['data_offsets'][1] - entry['data_offsets'][0]
    return experts, total


class Processes:
    def __init__(self, bin):
        self.bin = Cluster.bin = bin

    @functools.cache
    def alone(self):
        """(live, ready) of a process of each role whose peers are absent."""
        with socket.socket() as nobody:  # bound and never listening: a router's address where there is none
            nobody.bind(('127.0.0.1', 0))
            absent = f'127.0.0.1:{nobody.getsockname()[1]}'
            programs = {'router': Program(self.bin, 'atoll-router', '--model', TALES, '--listen', '127.0.0.1:0')}
            for role in ('attention', 'expert'):
                programs[role] = Program(self.bin, f'atoll-{role}', '--model', TALES, '--router', absent, '--transport', 'tcp', '--threads', '1')
            try:
                found = {}
                for role, program in programs.items():
                    address = program.address()
                    found[role] = (program.live(address), program.ready(address, NAMES[role]))
                return found
            finally:
                for program in programs.values(): program.stop()

    @functools.cache
    def expert_bytes(self):
        """(experts, bytes) that two nodes report which have memory for somewhat more than half each, and (experts, bytes) of the checkpoint."""
        experts, total = experts_of_checkpoint()
        with ByHand(self.bin, expert=('--expert-memory-bytes', str(total * 6 // 10))) as c:
            wait_until(c.ready, 30, 'ready')
            found = wait_until(lambda: [(n['experts'], n['loaded_bytes']) for n in c.status().get('nodes', []) if n['role'] == 'expert' and n['loaded_bytes']], 10, 'bytes reported')
            return found, (experts, total)

    @functools.cache
    def ready_after_loss(self):
        with ByHand(self.bin) as c:
            wait_until(c.ready, 30, 'ready')
            c.programs['attention-0'].stop()
            lost = seconds_until(lambda: not c.ready(), 5, 'not ready without an attention node')
            c.join('attention', 'attention-0')
            return lost, seconds_until(c.ready, 30, 'ready again')

    @functools.cache
    def reason_after_expert_loss(self):
        """With memory for one copy of each expert, so that a lost node's experts are nowhere else."""
        with ByHand(self.bin, expert=('--expert-memory-bytes', str(experts_of_checkpoint()[1] * 6 // 10))) as c:
            wait_until(c.ready, 30, 'ready')
            c.programs['expert-1'].stop()
            lost = seconds_until(lambda: not c.ready(), 5, 'not ready without an expert node')
            metrics = c.programs['router'].metrics()
            return lost, c.status().get('not_ready_reason', ''), answers(metrics, '/readyz')[1] if metrics else None

    @functools.cache
    def probes_under_load(self, streams=32, probes=40):
        with ByHand(self.bin) as c:
            wait_until(c.ready, 30, 'ready')
            running = [c.start_generate(max_tokens=300, seed=i) for i in range(streams)]
            slowest = 0
            for i in range(probes):
                start = time.time()
                router = c.programs['router']
                expect(router.ready(c.address, NAMES['router'], 10) if i % 2 else router.live(c.address), f'probe {i} under load found the router not serving')
                slowest = max(slowest, time.time() - start)
            for process in running: expect(finish(process, 120)[0] == 0, 'a stream failed under probes')
            return probes, slowest

    @functools.cache
    def metric_names(self):
        """Names of the series that a router has which served requests; none without /metrics."""
        with ByHand(self.bin) as c:
            wait_until(c.ready, 30, 'ready')
            running = [c.start_generate(max_tokens=400, seed=i) for i in range(4)]
            for process in running: expect(finish(process, 60)[0] == 0, 'a request failed')
            time.sleep(0.3)  # the last heartbeats
            status, text = answers(c.programs['router'].metrics(), '/metrics') if c.programs['router'].metrics() else (0, '')
            return set(re.findall(r'^([A-Za-z_:][\w:]*)[ {]', text, re.M)) if status == 200 else set()

    @functools.cache
    def drained_router(self):
        with ByHand(self.bin, router=('--shutdown-timeout', '60')) as c:
            wait_until(c.ready, 30, 'ready')
            running = [c.start_generate(max_tokens=400, seed=i) for i in range(8)]
            wait_until(lambda: c.status()['router']['requests_running'] >= 8, 30, 'streams run')
            router = c.programs['router'].process
            router.send_signal(signal.SIGTERM)
            wait_until(lambda: not c.ready(), 5, 'not ready after SIGTERM')
            code, _, error = finish(c.start_generate(max_tokens=5), 30)
            expect(code == 1 and 'UNAVAILABLE' in error, f'a new request in the drain: {code} {error[-200:]}')
            broken = [e for code, _, e in (finish(p, 120) for p in running) if code]
            expect(not broken, f'{len(broken)} of 8 streams broke: {broken[:1]}')
            expect(router.wait(20) == 0, f'exit status {router.returncode}')
        with ByHand(self.bin, router=('--shutdown-timeout', '60')) as c:
            wait_until(c.ready, 30, 'ready')
            endless = c.start_generate(max_tokens=1900)
            wait_until(lambda: c.status()['router']['requests_running'] == 1, 30, 'a stream runs')
            router = c.programs['router'].process
            router.send_signal(signal.SIGTERM)
            wait_until(lambda: not c.ready(), 5, 'not ready after SIGTERM')
            router.send_signal(signal.SIGTERM)
            ended = seconds_until(lambda: router.poll() is not None, 10, 'a second SIGTERM ends it')
            endless.kill(); endless.communicate()
        return f'8 streams finished in the drain, a new request was refused, exit 0; a second SIGTERM ended it after {ended:.1f} s'

    @functools.cache
    def shared_memory_left(self):
        """Names that nodes of this environment leave in /dev/shm when they are killed under load."""
        before = set(os.listdir('/dev/shm'))
        with ByHand(self.bin, env={'UCX_TLS': 'tcp'}) as c:
            wait_until(c.ready, 30, 'ready')
            running = [c.start_generate(max_tokens=300, seed=i) for i in range(4)]
            wait_until(lambda: c.status()['router']['requests_running'] >= 4, 30, 'streams run')
            pids = {str(p.process.pid) for p in c.programs.values()}
            for name in ('expert-0', 'attention-0'): c.programs[name].stop()
            for process in running: process.kill(); process.communicate()
            # Others may work on this machine: only files that these processes have made count.
            return sorted(n for n in set(os.listdir('/dev/shm')) - before if any(p in n for p in pids))

    @functools.cache
    def drained_expert(self):
        """Three nodes whose memory holds not two copies of every expert, so that the leaving one has sole copies; two suffice for all."""
        with ByHand(self.bin, experts=3, expert=('--expert-memory-bytes', str(experts_of_checkpoint()[1] * 6 // 10))) as c:
            wait_until(c.ready, 30, 'ready')
            running = [c.start_generate(max_tokens=400, seed=i) for i in range(8)]
            wait_until(lambda: c.status()['router']['requests_running'] >= 8, 30, 'streams run')
            leaving = c.programs['expert-1'].process
            leaving.send_signal(signal.SIGTERM)
            seconds = seconds_until(lambda: leaving.poll() is not None, 60, 'it leaves')
            broken = [e for code, _, e in (finish(p, 120) for p in running) if code]
            if broken and seconds < 1: raise Waits(f'it leaves at once on SIGTERM, before its sole copies are elsewhere: {len(broken)} of 8 streams ended with UNAVAILABLE')
            expect(not broken, f'it left after {seconds:.1f} s, {len(broken)} of 8 streams broke: {broken[:1]}')
            expect(leaving.returncode == 0, f'exit status {leaving.returncode}')
            code, _, error = finish(c.start_generate(max_tokens=5), 30)
            expect(code == 0, f'without it: {error[-200:]}')
            return f'8 streams went on, it left after {seconds:.1f} s with status 0, the others have all experts'
