"""Pods without Kubernetes: a network namespace for each, joined by a bridge in one more, Services by a name server there and the
resolv.conf of a pod (which `ip netns exec` binds over /etc/resolv.conf), network policies as iptables rules. Nothing of the machine's
own network is touched."""
import os, shutil, subprocess, sys, tempfile
from network_policies import Pod, Policies
from rendered import Failed, expect

NAME_SERVER = '10.77.0.254'
RESOLV_CONF = f'nameserver {NAME_SERVER}\nsearch atoll.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n'


def run(*command, may_fail=False):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    expect(may_fail or done.returncode == 0, f'{" ".join(command)}: {done.stderr.strip()[-200:]}')
    return done


def missing():
    """What this machine lacks; empty where namespaces can be made."""
    if os.geteuid() != 0: return 'needs root'
    for tool in ('ip', 'iptables', 'ss', 'sysctl'):
        if not shutil.which(tool): return f'no {tool}'
    name = f'atoll-{os.getpid()}-try'
    made = run('ip', 'netns', 'add', name, may_fail=True)
    if made.returncode: return f'ip netns add: {made.stderr.strip()}'
    run('ip', 'netns', 'del', name)
    return ''


class Network:
    """A context manager that takes everything away that it made."""

    def __init__(self, overlay):
        self.overlay, self.policies, self.pods, self.names, self.made = overlay, Policies(overlay.all('NetworkPolicy')), {}, {}, 0
        self.hub = self.name_server = None

    def __enter__(self):
        self.hub = self._namespace('hub')
        # An address of its own: else it takes that of a port, and another one when that port goes.
        run('ip', '-n', self.hub, 'link', 'add', 'bridge', 'address', '02:00:0a:4d:00:fe', 'type', 'bridge')
        run('ip', '-n', self.hub, 'addr', 'add', f'{NAME_SERVER}/24', 'dev', 'bridge')
        run('ip', '-n', self.hub, 'link', 'set', 'bridge', 'up')
        self.services = tempfile.NamedTemporaryFile('w+', suffix='.services')
        server = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'name_server.py')
        self.name_server = subprocess.Popen(['ip', 'netns', 'exec', self.hub, sys.executable, server, NAME_SERVER, self.services.name],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        expect(self.name_server.stdout.readline() == 'listening\n', 'the name server does not start')
        return self

    def __exit__(self, *_):
        if self.name_server:
            self.name_server.kill()
            self.name_server.communicate()
        for where in [self.hub, *(p.where for p in self.pods.values())]:
            if where: self._remove(where)

    def _namespace(self, name):
        where = f'atoll-{os.getpid()}-{name}'
        run('ip', 'netns', 'add', where)
        os.makedirs(f'/etc/netns/{where}')
        for file, text in (('hosts', '127.0.0.1 localhost\n'), ('resolv.conf', RESOLV_CONF)):
            with open(f'/etc/netns/{where}/{file}', 'w') as f: f.write(text)
        run('ip', '-n', where, 'link', 'set', 'lo', 'up')
        return where

    def _remove(self, where):
        run('ip', 'netns', 'del', where, may_fail=True)
        shutil.rmtree(f'/etc/netns/{where}', ignore_errors=True)

    def add(self, name, role=None, labels=None):
        """A pod of a role, or a stranger with labels, at an address that no pod had before."""
        self.made += 1
        pod = Pod(name, labels or self.overlay.template(role)['metadata']['labels'], self.overlay.ports(role) if role else {},
                  namespace='atoll' if role else 'apps')
        pod.role, pod.address, pod.where = role, f'10.77.0.{self.made}', self._namespace(f'{name}-{self.made}')
        port = f'port{self.made}'
        run('ip', 'link', 'add', 'eth0', 'netns', pod.where, 'type', 'veth', 'peer', 'name', port, 'netns', self.hub)
        run('ip', '-n', self.hub, 'link', 'set', port, 'master', 'bridge', 'up')
        run('ip', '-n', pod.where, 'addr', 'add', f'{pod.address}/24', 'dev', 'eth0')
        run('ip', '-n', pod.where, 'link', 'set', 'eth0', 'up')
        for sysctl in (self.overlay.pod(role)['securityContext'].get('sysctls', []) if role else []):
            run('ip', 'netns', 'exec', pod.where, 'sysctl', '-qw', f'{sysctl["name"]}={sysctl["value"]}')
        self.pods[name] = pod
        self._apply_policies()
        return pod

    def remove(self, name):
        self._remove(self.pods.pop(name).where)

    def name(self, service, pod):
        """A Service: from now on its name means this pod, everywhere."""
        self.names[service] = pod.address
        self.services.seek(0)
        self.services.write(''.join(f'{name} {address}\n' for name, address in self.names.items()))
        self.services.truncate()
        self.services.flush()

    def _apply_policies(self):
        for target in self.pods.values():
            if target.role is None: continue
            lines = ['*filter', ':INPUT ACCEPT [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', '-A INPUT -i lo -j ACCEPT',
                     f'-A INPUT -s {NAME_SERVER} -p udp --sport 53 -j ACCEPT']
            for source in self.pods.values():
                for first, last in self._ranges(source, target):
                    lines.append(f'-A INPUT -s {source.address} -p tcp --syn --dport {first}:{last} -j ACCEPT')
            lines += ['-A INPUT -p tcp --syn -j DROP', '-A INPUT -p udp -j DROP', 'COMMIT', '']
            done = subprocess.run(['ip', 'netns', 'exec', target.where, 'iptables-restore'], input='\n'.join(lines), capture_output=True, text=True, timeout=60)
            expect(done.returncode == 0, f'iptables-restore: {done.stderr[-200:]}')

    def _ranges(self, source, target):
        """Ranges of ports that the policies open from one pod to another."""
        edges = {0, 65536}
        for policy in self.policies.policies:
            for rule in policy['spec'].get('ingress', []) + policy['spec'].get('egress', []):
                for entry in rule.get('ports', []):
                    first = target.ports.get(entry['port']) if isinstance(entry['port'], str) else entry['port']
                    if first is not None: edges |= {first, entry.get('endPort', first) + 1}
        edges = sorted(edges)
        return [(a, b - 1) for a, b in zip(edges, edges[1:]) if self.policies.allow(source, target, a)]

    def exec(self, pod):
        """The words before a command that runs in a pod."""
        return ['ip', 'netns', 'exec', pod.where]

    def listening(self, pod):
        out = run(*self.exec(pod), 'ss', '-Hltn').stdout
        found = [line.split()[3].rsplit(':', 1) for line in out.splitlines()]
        return sorted(int(port) for host, port in found if not host.startswith('127.'))

    def connections(self, pod):
        """(own port, peer address, peer port) of the established TCP connections."""
        out = run(*self.exec(pod), 'ss', '-Htn', 'state', 'established').stdout
        words = [line.split() for line in out.splitlines()]
        split = lambda text: text.rsplit(':', 1)
        return [(int(split(w[-2])[1]), split(w[-1])[0].strip('[]').removeprefix('::ffff:'), int(split(w[-1])[1])) for w in words]
