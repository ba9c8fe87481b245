"""Items about the shape of the manifests: files, workloads, Services, image, sizes, placement on hosts."""
import glob, os
import yaml

from items import item
from rendered import MANIFESTS, ROLES, ROOT, Waits, expect, kustomize, opened, quantity, Rendered

H2C = 'kubernetes.io/h2c'


@item(1, 'kustomize base and overlays, readable as plain YAML')
def plain_yaml(overlay, site):
    files = [f for f in glob.glob(f'{MANIFESTS}/**/*.yaml', recursive=True)]
    for path in files:
        for document in yaml.safe_load_all(open(path)):
            expect(isinstance(document, (dict, list)), f'{path}: expected a map, or a list of changes, found {type(document).__name__}')
    base = [o for f in yaml.safe_load(open(f'{MANIFESTS}/base/kustomization.yaml'))['resources'] for o in yaml.safe_load_all(open(f'{MANIFESTS}/base/{f}'))]
    named = {(o['kind'], o['metadata']['name']) for o in base}
    rendered = {(o['kind'], o['metadata']['name']) for o in overlay.objects}
    expect(named <= rendered, f'the overlay loses {named - rendered}')
    return f'{len(files)} files are plain YAML; {len(overlay.objects)} objects'


@item(2, 'schemas of two versions of Kubernetes')
def schemas(overlay, site):
    check = Rendered('check', kustomize(f'{MANIFESTS}/check'))
    for version in site.versions: site.validate(version, overlay.objects + check.objects)
    return f'strictly valid for {" and ".join(site.versions)}'


def no_chart():
    return not [f for f in glob.glob(f'{ROOT}/**/Chart.yaml', recursive=True) if '/build' not in f]


@item(3, 'a chart refuses typos')
def chart_schema(overlay, site):
    expect(no_chart(), 'a chart ships without values.schema.json')
    return 'no chart ships'


@item(4, 'a chart prints the commands to try')
def chart_notes(overlay, site):
    expect(no_chart(), 'a chart ships without NOTES.txt')
    return 'no chart ships'


@item(5, 'a test Job asks for one completion')
def check_job(overlay, site):
    job = Rendered('check', kustomize(f'{MANIFESTS}/check')).one('Job', 'atoll-check')
    pod = job['spec']['template']['spec']
    command = pod['containers'][0]['command']
    service, port = next(w for w in command if w.startswith('--address=')).split('=')[1].split(':')
    expect(command[:2] == ['atoll', 'generate'], command)
    expect(int(port) in [p['port'] for p in overlay.one('Service', service)['spec']['ports']], f'{service} has no port {port}')
    site.accepts_options('atoll', command[1:2], [w for w in command if w.startswith('--')])
    return f'k8s/check: {" ".join(command[:3])}'


@item(6, 'one workload per role')
def workloads(overlay, site):
    kinds = {role: w['kind'] for role, w in overlay.workloads().items()}
    expect(kinds == {'router': 'Deployment', 'attention': 'StatefulSet', 'expert': 'StatefulSet'}, kinds)
    expect(len(overlay.all('Deployment') + overlay.all('StatefulSet')) == 3, 'more workloads than roles')
    for role in ('attention', 'expert'):
        spec = overlay.workload(role)['spec']
        expect(spec['podManagementPolicy'] == 'Parallel', f'{role}: podManagementPolicy must be Parallel, weights load one pod after the other else')
        expect(overlay.one('Service', spec['serviceName'])['spec']['clusterIP'] == 'None', f'{role}: its Service is not headless')
        expect(overlay.environment(role)['ATOLL_NODE_ID'] == 'metadata.name', f'{role}: the node id is not the stable name of the pod')
    router = overlay.workload('router')['spec']
    expect(router['replicas'] == 1 and router['strategy']['type'] == 'Recreate', 'there may be two routers at a time')
    least = overlay.config('router')['min-expert-nodes']
    expect(1 <= least <= overlay.workload('expert')['spec']['replicas'], f'the router waits for {least} expert nodes')
    return f'{", ".join(f"{r} {k}" for r, k in kinds.items())}; nodes start in parallel'


@item(7, 'headless Services for nodes, a ClusterIP for clients')
def services(overlay, site):
    for role in ('attention', 'expert'):
        host, port = overlay.config(role)['router'].split(':')
        found = overlay.one('Service', host)['spec']
        expect(found['clusterIP'] == 'None' and found.get('publishNotReadyAddresses') is True,
               f'{role} joins through {host}, which has no address before the router is ready: no node could ever join')
        expect(int(port) in [p['port'] for p in found['ports']], f'{host} has no port {port}')
    clients = overlay.one('Service', 'atoll-router')['spec']
    expect('clusterIP' not in clients and not clients.get('publishNotReadyAddresses'), 'the clients\' Service must be gated by readiness')
    for service in overlay.all('Service'):
        selected = [r for r in ROLES if service['spec']['selector'].items() <= overlay.template(r)['metadata']['labels'].items()]
        expect(len(selected) == 1, f'{service["metadata"]["name"]} selects {selected}')
        for port in service['spec']['ports']: expect(port['targetPort'] in overlay.ports(selected[0]), f'no container port {port["targetPort"]}')
    return 'nodes join through atoll-router-nodes (not gated), clients come through atoll-router (gated)'


def check_port_names(overlay, router):
    for service in overlay.all('Service'):
        for port in service['spec']['ports']:
            if port['name'] == 'grpc': expect(port.get('appProtocol') == H2C, f'{service["metadata"]["name"]}: no appProtocol {H2C}')
    for role, wanted in (('router', router), ('attention', {'grpc', 'ucx'}), ('expert', {'grpc', 'ucx'})):
        expect(wanted == overlay.ports(role).keys(), f'{role}: expected ports {wanted}, found {overlay.ports(role)}')
        listen = int(overlay.config(role)['listen'].rsplit(':', 1)[1])
        expect(overlay.ports(role)['grpc'] == listen, f'{role} listens on {listen}, its port says {overlay.ports(role)["grpc"]}')


@item(8, 'named ports, h2c on gRPC ports')
def port_names(overlay, site):
    full, router = opened(overlay), {'grpc', 'http', 'metrics'}
    if full is not overlay: check_port_names(overlay, {'grpc'})
    check_port_names(full, router)
    expect('http' in [p['name'] for p in full.one('Service', 'atoll-router')['spec']['ports']], 'clients find no HTTP port')
    for version in site.versions: site.validate(version, full.objects)
    if full is not overlay: raise Waits(f'component front-doors holds; {site.front_doors_wait()}')
    return 'http, grpc, metrics and ucx; gRPC ports are h2c'


@item(9, 'image pinned, and small')
def image(overlay, site):
    for role in ROLES:
        name, _, tag = overlay.container(role)['image'].rpartition(':')
        expect(name and tag and tag != 'latest', f'{role}: image {overlay.container(role)["image"]} is not pinned')
    return f'{overlay.container("router")["image"]}; its size is image_check\'s'


@item(12, 'startup probe as long as weights load')
def startup(overlay, site):
    for role in ROLES:
        probe = overlay.container(role)['startupProbe']
        seconds = probe['periodSeconds'] * probe['failureThreshold']
        need = {'router': 60, 'attention': 2700, 'expert': 2700}[role]
        expect(seconds >= need, f'{role}: {seconds} s, loading may take {need} s')
        expect(overlay.container(role)['livenessProbe'] != probe, f'{role}: liveness and startup are one probe')
    return '10 s x 270 for the nodes, apart from liveness'


@item(21, 'a disruption budget per role')
def budgets(overlay, site):
    for role in ROLES:
        spec = overlay.one('PodDisruptionBudget', f'atoll-{role}')['spec']
        expect(spec['maxUnavailable'] == 1, f'{role}: {spec}')
        expect(spec['selector']['matchLabels'].items() <= overlay.template(role)['metadata']['labels'].items(), f'{role}: the budget selects nothing')
    return 'one pod of a role at a time'


@item(22, 'replicas on different hosts and zones')
def spread(overlay, site):
    for role in ('attention', 'expert'):
        keys = {c['topologyKey']: c['labelSelector']['matchLabels'] for c in overlay.pod(role)['topologySpreadConstraints']}
        expect(keys.keys() == {'topology.kubernetes.io/zone', 'kubernetes.io/hostname'}, keys)
        for labels in keys.values(): expect(labels.items() <= overlay.template(role)['metadata']['labels'].items(), f'{role}: {labels}')
    apart = overlay.pod('expert')['affinity']['podAntiAffinity']
    if overlay.name != 'kind':
        expect('requiredDuringSchedulingIgnoredDuringExecution' in apart, 'two expert nodes may share a host and die together')
    if not site.has('atoll-expert', '--zone'): raise Waits('pods spread over hosts and zones; nodes cannot say their zone, so two copies of an expert may lie in one')
    return 'spread over zones and hosts' + ('' if overlay.name == 'kind' else ', one expert node per host')


@item(24, 'a priority above batch jobs')
def priority(overlay, site):
    value = overlay.one('PriorityClass', 'atoll-serving')['value']
    expect(0 < value < 1000000000, value)
    for role in ROLES: expect(overlay.pod(role)['priorityClassName'] == 'atoll-serving', role)
    return f'atoll-serving, {value}'


@item(25, 'requests equal limits: CPU, memory, huge pages, ephemeral storage')
def resources(overlay, site):
    for role in ROLES:
        found = overlay.container(role)['resources']
        expect(found['requests'] == found['limits'], f'{role}: not Guaranteed')
        expect({'cpu', 'memory', 'ephemeral-storage'} <= found['limits'].keys(), f'{role}: {found["limits"]}')
    for role, option in (('attention', 'kv-cache-memory-bytes'), ('expert', 'expert-memory-bytes')):
        share, shm = overlay.config(role)[option], quantity(next(v for v in overlay.pod(role)['volumes'] if v['name'] == 'shm')['emptyDir']['sizeLimit'])
        rest = overlay.limit(role, 'memory') - share - shm
        expect(rest >= 512 * 2**20, f'{role}: {option} leaves {rest / 2**20:.0f} MiB of its limit for everything else')
        expect(overlay.environment(role)['ATOLL_THREADS'] == 'limits.cpu', f'{role}: threads do not follow the CPU limit')
    raise Waits('CPU, memory and ephemeral storage hold; weights lie in transparent huge pages, so a reservation of hugepages-2Mi would lie idle')


@item(26, '/dev/shm of bounded size, clean at the start')
def shared_memory(overlay, site):
    for role in ('attention', 'expert'):
        volume = next(v for v in overlay.pod(role)['volumes'] if v['name'] == 'shm')['emptyDir']
        expect(volume['medium'] == 'Memory' and quantity(volume['sizeLimit']) > 0, volume)
        expect(any(m['mountPath'] == '/dev/shm' for m in overlay.container(role)['volumeMounts']), f'{role}: /dev/shm is not mounted')
        used = overlay.environment(role)['UCX_TLS'].split(',')
        expect(not {'posix', 'sysv', 'cma', 'sm', 'shm', 'all'} & set(used), f'{role}: UCX_TLS {used} would share memory between pods')
    left = site.processes().shared_memory_left()
    expect(not left, f'left in /dev/shm by a killed node: {left}')
    return 'bounded; a node killed under load left nothing there'


@item(40, 'pods say build, commit and model revision')
def labels(overlay, site):
    for role in ROLES:
        found = overlay.template(role)['metadata']['labels']
        revision = overlay.config(role)['model'].rstrip('/').rsplit('/', 1)[1]
        expect(found.get('app.kubernetes.io/version') and found.get('atoll.dev/model-revision') == revision,
               f'{role}: label {found.get("atoll.dev/model-revision")}, config {revision}')
    expect('atoll_build_info' in site.processes().metric_names(), 'no metric atoll_build_info')
    return 'version and model revision as labels, the build as atoll_build_info'
