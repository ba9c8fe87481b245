"""Items about the life of a pod: weights, probes, drain, logs. What a manifest cannot show is shown by processes."""
import math, os

from items import item
from pod_security import against_restricted
from rendered import MANIFESTS, ROLES, ROOT, Waits, expect, opened, with_component

HEALTH = {'router': 'atoll.v1.InferenceService', 'attention': 'attention', 'expert': 'expert'}


def grace(overlay, role):
    return overlay.pod(role)['terminationGracePeriodSeconds']


def settle(overlay, role):
    return overlay.container(role)['lifecycle']['preStop']['sleep']['seconds']


def probe(overlay, role, kind):
    found = overlay.container(role)[kind + 'Probe']
    return found, found.get('grpc') or found.get('httpGet')


@item(10, 'weights from a read-only volume, revision pinned, checked')
def weights(overlay, site):
    for role in ROLES:
        model, mounts = overlay.config(role)['model'], {m['mountPath']: m for m in overlay.container(role)['volumeMounts']}
        revision = model.rstrip('/').rsplit('/', 1)[1]
        expect(revision not in ('current', 'latest', 'main'), f'{role}: {model} is not a pinned revision')
        if overlay.name == 'kind': expect(model.startswith('/usr/share/atoll/'), f'{role}: {model} is not in the image')
        else: expect(model.startswith('/models/') and mounts['/models']['readOnly'] is True, f'{role}: {model} is not on a read-only volume')
    expect(len({overlay.config(role)['model'] for role in ROLES}) == 1, 'the roles serve different models')
    raise Waits('volume and revision hold; checkpoints carry no checksum that a load could check')


@item(11, 'expert nodes load their shard alone')
def shard(overlay, site):
    nodes, (experts, total) = site.processes().expert_bytes()
    for held, loaded in nodes: expect(0 < held < experts and loaded == held * total // experts, f'{held} of {experts} experts, {loaded} of {total} bytes')
    return f'two nodes report {" + ".join(str(b) for _, b in nodes)} bytes for {" + ".join(str(e) for e, _ in nodes)} experts; all {experts} have {total}'


@item(13, 'liveness depends on no peer')
def liveness(overlay, site):
    for found, target, role in [(*probe(o, r, 'liveness'), r) for o in (overlay, opened(overlay)) for r in ROLES]:
        expect(target.get('path', '/livez') == '/livez' and not target.get('service'), f'{role}: liveness asks {target}')
        expect(found['failureThreshold'] * found['periodSeconds'] >= 30, f'{role}: {found}')
    alone = site.processes().alone()
    expect(alone == {role: (True, False) for role in ROLES}, f'(live, ready) of processes without peers: {alone}')
    return 'each role alone: live, not ready'


@item(14, 'readiness: a token could be made now')
def readiness(overlay, site):
    for found, target, role in [(*probe(o, r, 'readiness'), r) for o in (overlay, opened(overlay)) for r in ROLES]:
        if 'service' in target: expect(target['service'] == HEALTH[role], f'{role}: asks for {target["service"]}, serves {HEALTH[role]}')
        else: expect(target['path'] == '/readyz', f'{role}: {target}')
        expect(target['port'] in (overlay.ports(role)['grpc'], 'grpc', 'http', 'metrics', 8000, 8001), f'{role}: {target}')
    seconds = site.processes().ready_after_loss()
    return f'the last attention node killed: not ready after {seconds[0]:.1f} s, ready {seconds[1]:.1f} s after another came'


@item(15, 'no live host of an expert: not ready, with the reason in the body')
def reason(overlay, site):
    seconds, text, body = site.processes().reason_after_expert_loss()
    expect(text, 'no reason')
    if body is None: raise Waits(f'not ready after {seconds:.1f} s; the reason ("{text}") is in `atoll status`, in a body once the router serves /readyz')
    expect('expert-1' in body, f'/readyz said {body!r}')
    return f'not ready after {seconds:.1f} s: {body.strip()}'


@item(16, 'probes are cheap under full load')
def cheap(overlay, site):
    timeout = min(probe(overlay, role, kind)[0]['timeoutSeconds'] for role in ROLES for kind in ('liveness', 'readiness'))
    asked, slowest = site.processes().probes_under_load()
    expect(slowest < timeout, f'of {asked} probes under 32 streams one took {slowest:.2f} s, the kubelet waits {timeout} s')
    return f'{asked} probes under 32 streams, the slowest {1000 * slowest:.0f} ms'


@item(17, 'a pause before SIGTERM')
def pause(overlay, site):
    for role in ROLES: expect(settle(overlay, role) >= 15, f'{role}: {settle(overlay, role)} s')
    return 'native sleep of 15 s'


@item(18, 'grace period: the sum of the parts')
def grace_period(overlay, site):
    timeout = overlay.config('router')['shutdown-timeout']
    least = {'router': settle(overlay, 'router') + timeout + 5 + 1, 'attention': settle(overlay, 'attention') + 10}
    notes = overlay.template('expert')['metadata']['annotations']
    sole, rate = int(notes['atoll.dev/sole-copy-bytes']), int(notes['atoll.dev/load-bytes-per-second'])
    expect(sole >= overlay.config('expert')['expert-memory-bytes'], 'the arithmetic counts fewer bytes than an expert node may hold')
    least['expert'] = settle(overlay, 'expert') + math.ceil(sole / rate) + 30
    drain = overlay.config('expert').get('drain-timeout')
    if drain is not None:
        expect(drain >= math.ceil(sole / rate) + 20, f'--drain-timeout {drain} s is shorter than others need to load the sole copies')
        least['expert'] = max(least['expert'], settle(overlay, 'expert') + drain + 5)
    for role in ROLES: expect(grace(overlay, role) >= least[role], f'{role}: grace {grace(overlay, role)} s, needs {least[role]} s')
    if drain is None and site.has('atoll-expert', '--drain-timeout'): raise Waits('the sums hold; the configuration does not set --drain-timeout yet')
    return ', '.join(f'{role} {grace(overlay, role)} >= {least[role]} s' for role in ROLES)


@item(19, 'SIGTERM: refuse, finish, exit 0; a second one: at once')
def sigterm(overlay, site):
    return site.processes().drained_router()


@item(20, 'an expert node drains without a lost token')
def expert_drain(overlay, site):
    return site.processes().drained_expert()


@item(32, 'secrets from files, read again without a restart')
def secrets(overlay, site):
    found = with_component(f'{MANIFESTS}/overlays/{overlay.name}', 'api-key')
    file = found.environment('router')['ATOLL_API_KEY_FILE']
    mount = next(m for m in found.container('router')['volumeMounts'] if file.startswith(m['mountPath'] + '/'))
    volume = next(v for v in found.pod('router')['volumes'] if v['name'] == mount['name'])
    expect(mount['readOnly'] is True and 'secret' in volume, f'{file} does not lie on a Secret')
    expect(not against_restricted(found.pod('router')), 'no restricted pod any more')
    for version in site.versions: site.validate(version, found.all('Deployment'))
    keys = 'keys come from a file (component api-key)' if site.has('atoll-router', '--api-key-file') else 'component api-key holds, the router has no --api-key-file yet'
    raise Waits(f'{keys}; no TLS')


@item(36, 'discovery: static, DNS, etcd')
def discovery(overlay, site):
    raise Waits('a static address and DNS names are there and the default (namespaces_check shows both), etcd is not')


@item(38, 'rolling update over a version skew')
def skew(overlay, site):
    expect(overlay.workload('router')['spec']['strategy']['type'] == 'Recreate', 'two routers at a time')
    raise Waits('one version exists; StatefulSets replace one pod at a time, without surge')


@item(39, 'JSON logs; probes leave no line')
def logs(overlay, site):
    if not site.has('atoll-router', '--log-format'): raise Waits('no --log-format json; probes leave no line today')
    for role in ROLES: expect(overlay.config(role).get('log-format') == 'json', f'{role}: log-format json is not set')
    return 'log-format json'


@item(41, 'kind, CPU and the small model in two commands')
def two_commands(overlay, site):
    text = open(os.path.join(ROOT, 'docs', 'kubernetes.md')).read()
    for command in ('kind load image-archive', 'kubectl apply -k k8s/overlays/kind'): expect(command in text, f'docs/kubernetes.md lacks `{command}`')
    for role in ROLES: site.accepts_config(overlay, role)
    return 'docs/kubernetes.md; the programs accept every option of this overlay'
