"""A cluster of real processes for the checks in this folder: start and stop `atoll up`, ask it, read its state."""
import json, os, re, signal, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TALES = os.path.join(ROOT, 'checkpoints', 'tales')
STATUS = re.compile(r'^error: ([A-Z_]+): ', re.M)


class Failed(Exception):
    pass


def expect(condition, text):
    if not condition: raise Failed(text)


def wait_until(condition, seconds, text):
    end = time.time() + seconds
    while not (value := condition()):
        if time.time() > end: raise Failed(f'not within {seconds} s: {text}')
        time.sleep(0.02)
    return value


def alive(pid):
    try: return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except OSError: return False


def memory_bytes(pid):
    return int(open(f'/proc/{pid}/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


class Cluster:
    """`atoll up` with its children; a context manager that leaves nothing running."""
    bin = None  # folder of the built programs

    def __init__(self, *arguments, attention=1, experts=2, model=TALES):
        self.arguments = [f'{Cluster.bin}/atoll', 'up', '--model', model, '--attention', str(attention), '--experts', str(experts),
                          '--listen', '127.0.0.1:0', *arguments]

    def __enter__(self):
        self.log = tempfile.NamedTemporaryFile('w+', suffix='.log')
        self.up = subprocess.Popen(self.arguments, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: 'ready ' in self.said() or self.up.poll() is not None, 60, 'ready')
            found = re.search(r'^ready (\S+)$', self.said(), re.M)
            expect(found, f'atoll up ended with {self.up.poll()}: {self.said()[-400:]}')
            self.address = found[1]
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def said(self):
        return open(self.log.name, errors='replace').read()

    def children(self):
        """pid by node name, of the children that run now."""
        found = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                if open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[1] != str(self.up.pid): continue
                words = open(f'/proc/{pid}/cmdline').read().split('\0')
            except OSError: continue
            name = next((w.split('=', 1)[1] for w in words if w.startswith('--node-id=')), os.path.basename(words[0]))
            if alive(pid): found[name] = int(pid)
        return found

    def stop(self, sent=signal.SIGINT):
        children = self.children().values()
        if self.up.poll() is None:
            self.up.send_signal(sent)
            try: self.up.wait(20)
            except subprocess.TimeoutExpired: self.up.kill(); self.up.wait()
        end = time.time() + 2
        while (left := [p for p in children if alive(p)]) and time.time() < end: time.sleep(0.02)
        for pid in left: os.kill(pid, signal.SIGKILL)
        return left

    def start(self, *arguments, **options):
        """`atoll generate` as a process; its result by finish()."""
        command = [f'{Cluster.bin}/atoll', 'generate', '--address', self.address, *arguments]
        for name, value in options.items():
            command += ['--' + name.replace('_', '-')] + ([] if value is True else [str(value)])
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def generate(self, *arguments, timeout=60, **options):
        """The JSON object of one answer."""
        code, out, error = finish(self.start('--json', *arguments, **options), timeout)
        expect(code == 0, f'generate ended with {code}: {error[-300:]}')
        return json.loads(out)

    def refused(self, *arguments, **options):
        """The status code's name that a request ends with."""
        code, _, error = finish(self.start('--json', *arguments, **options), 30)
        found = STATUS.search(error)
        expect(code == 1 and found and error.count('\n') == 1, f'expected one error line and status 1, found {code}: {error[-300:]}')
        return found[1]

    def status(self):
        out = subprocess.run([f'{Cluster.bin}/atoll', 'status', '--address', self.address, '--json', '--experts'], capture_output=True, text=True, timeout=20)
        return json.loads(out.stdout) if out.returncode == 0 else {'ready': False, 'nodes': []}

    def pages_in_use(self):
        return sum(n['pages'] - n['pages_free'] for n in self.status()['nodes'] if n['role'] == 'attention')

    def wait_ready(self, seconds=20):
        wait_until(lambda: self.status()['ready'], seconds, 'ready again: ' + self.said()[-300:])


def finish(process, timeout):
    try: out, error = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill(); process.communicate()
        raise Failed(f'no end within {timeout} s')
    return process.returncode, out, error


def main(tests):
    """Runs the named tests, or all; the folder of the programs is the first argument."""
    Cluster.bin = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, 'build/release/bin'))
    names, failed = sys.argv[2:], 0
    chosen = [t for t in tests if not names or t.__name__ in names]
    for test in chosen:
        start = time.time()
        try: test(); print(f'ok      {test.__name__} ({time.time() - start:.1f} s)', flush=True)
        except Exception as error:
            failed += 1
            print(f'FAILED  {test.__name__} ({time.time() - start:.1f} s): {type(error).__name__}: {error}', flush=True)
    print(f'{len(chosen) - failed} passed, {failed} failed')
    sys.exit(bool(failed))
