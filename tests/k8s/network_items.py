"""Items about who may do what: network policies, ports of the data path, pod security, accounts, RDMA."""
from items import item
from network_policies import Pod, Policies
from pod_security import against_baseline, against_restricted
from rendered import MANIFESTS, ROLES, Waits, expect, opened, with_component

DATA_PORTS = (39999, 40000, 40500, 41999, 42000)


def pods_of(overlay):
    """A pod of each role, and those that may and may not talk to them."""
    own = {role: Pod(role, overlay.template(role)['metadata']['labels'], overlay.ports(role)) for role in ROLES}
    strangers = {'client': Pod('client', {'atoll.dev/client': 'true'}, namespace='apps'), 'stranger': Pod('stranger', {}, namespace='apps'),
                 'neighbour': Pod('neighbour', {'app.kubernetes.io/name': 'other'}),
                 'monitoring': Pod('monitoring', {'app.kubernetes.io/name': 'prometheus'}, namespace='monitoring')}
    return {**own, **strangers}


def port_ranges(overlay, role):
    """The ports on which a node listens for data: of its own listener, and of UCX's."""
    sysctls = {s['name']: s['value'] for s in overlay.pod(role)['securityContext'].get('sysctls', [])}
    own = tuple(map(int, sysctls['net.ipv4.ip_local_port_range'].split()))
    ucx = tuple(map(int, overlay.environment(role)['UCX_TCP_PORT_RANGE'].split('-')))
    return own, ucx


@item(31, 'network policies: clients to the router, data both ways')
def policies(closed, site):
    found = allowed_connections(closed)
    if (overlay := opened(closed)) is closed: return found
    allowed_connections(overlay)
    raise Waits(f'holds with component front-doors; {site.front_doors_wait()}')


def allowed_connections(overlay):
    rules, pods = Policies(overlay.all('NetworkPolicy')), pods_of(overlay)
    for role in ('attention', 'expert'):
        for first, last in port_ranges(overlay, role): expect(40000 <= first < last <= 41999, f'{role}: ports {first}-{last} are not open')
    grpc = {role: overlay.ports(role)['grpc'] for role in ROLES}
    wanted = {(a, b): [40000, 40500, 41999] for a in ('attention', 'expert') for b in ('attention', 'expert')}
    ports = sorted({*grpc.values(), *DATA_PORTS, 22, 8000, 8001})
    for a in ('attention', 'expert'):
        for b in ('attention', 'expert'): wanted[a, b] = wanted[a, b] + [grpc[b]]
        wanted[a, 'router'], wanted['router', a] = [grpc['router']], [grpc[a]]
    wanted['client', 'router'] = [grpc['router']] + ([8000] if 'http' in overlay.ports('router') else [])
    if 'metrics' in overlay.ports('router'): wanted['monitoring', 'router'] = [8001]
    for a in pods:
        for b in ROLES:
            if a == b == 'router': continue
            found, right = rules.allowed_ports(pods[a], pods[b], ports), sorted(wanted.get((a, b), []))
            expect(found == right, f'{a} -> {b}: expected {right}, found {found}')
    outside = Pod('outside', {}, namespace='apps')
    expect(not any(rules.allow(pods[role], outside, 443) for role in ROLES), 'a pod may talk to strangers')
    dns = Pod('dns', {'k8s-app': 'kube-dns'}, namespace='kube-system')
    expect(all(rules.allow(pods[role], dns, 53, 'UDP') for role in ROLES), 'no names are found')
    return 'clients reach the router alone; data ports 40000-41999 both ways; metrics only from monitoring'


@item(27, 'RDMA overlay')
def rdma(overlay, site):
    if overlay.name != 'gpu-rdma':
        for role in ('attention', 'expert'): expect(overlay.environment(role)['UCX_TLS'] == 'tcp', f'{role}: UCX_TLS must be tcp between pods')
        return 'no RDMA here: UCX_TLS=tcp'
    for role in ('attention', 'expert'):
        container = overlay.container(role)
        expect([k for k in container['resources']['limits'] if k.startswith('rdma/')] == ['rdma/hca'], f'{role}: no RDMA device')
        expect(container['securityContext']['capabilities'] == {'add': ['IPC_LOCK'], 'drop': ['ALL']}, f'{role}: {container["securityContext"]}')
        expect(overlay.pod(role)['securityContext']['runAsUser'] == 0, f'{role}: IPC_LOCK has no effect for another user than root')
        expect('rc' in overlay.environment(role)['UCX_TLS'].split(','), f'{role}: UCX_TLS {overlay.environment(role)["UCX_TLS"]}')
        expect(overlay.config(role)['transport'] == 'auto', f'{role}: transport tcp overrides UCX_TLS')
    multus = with_component(f'{MANIFESTS}/overlays/gpu-rdma', 'multus')
    for role in ('attention', 'expert'):
        expect('k8s.v1.cni.cncf.io/networks' in multus.template(role)['metadata']['annotations'], f'{role}: the multus component adds no network')
    document = open(f'{MANIFESTS}/../docs/kubernetes.md').read()
    expect('hostNetwork' in document and 'memlock' in document, 'docs/kubernetes.md says nothing of hostNetwork and memlock')
    return 'rdma/hca, IPC_LOCK; component multus; hostNetwork is in docs/kubernetes.md'


@item(23, 'nodes of one network block together')
def network_block(overlay, site):
    if overlay.name != 'gpu-rdma': return 'an ordinary network: nothing to keep together'
    for role in ('attention', 'expert'):
        terms = overlay.pod(role)['affinity']['podAffinity']['preferredDuringSchedulingIgnoredDuringExecution']
        expect([t['podAffinityTerm']['topologyKey'] for t in terms] == ['atoll.dev/network-block'], terms)
    return 'by the label atoll.dev/network-block of hosts'


@item(28, 'pod security: restricted')
def restricted(overlay, site):
    roles = ['router'] if overlay.name == 'gpu-rdma' else ROLES
    for role in roles:
        broken = against_restricted(overlay.pod(role))
        expect(not broken, f'{role}: {"; ".join(broken)}')
    for role in ROLES: expect(overlay.container(role)['securityContext'].get('readOnlyRootFilesystem') is True, f'{role} may write to its root')
    return f'{", ".join(roles)}; read-only roots'


@item(29, 'the namespace says which level it enforces')
def namespace(overlay, site):
    level = overlay.one('Namespace', 'atoll')['metadata']['labels']['pod-security.kubernetes.io/enforce']
    over = sorted({b for role in ROLES for b in against_baseline(overlay.pod(role))})
    expect(level == ('privileged' if over else 'restricted'), f'the namespace enforces {level}, the pods break baseline by {over}')
    return f'{level}' + (f', because {"; ".join(over)}' if over else '')


@item(30, 'an account per role, without a token')
def accounts(overlay, site):
    for role in ROLES:
        account = overlay.pod(role)['serviceAccountName']
        expect(account == f'atoll-{role}', account)
        expect(overlay.one('ServiceAccount', account)['automountServiceAccountToken'] is False, account)
        expect(overlay.pod(role)['automountServiceAccountToken'] is False and overlay.pod(role)['enableServiceLinks'] is False, role)
    expect(not overlay.all('Role') + overlay.all('ClusterRole') + overlay.all('RoleBinding'), 'nobody asks the Kubernetes API, yet there are roles')
    return 'no token, no role: names are found by DNS'
