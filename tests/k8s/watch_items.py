"""Items about those who watch and scale: monitors, alerts, autoscalers, gateways, runbooks."""
import json, os, re

from items import item
from rendered import MANIFESTS, ROOT, Rendered, Waits, expect, kustomize, with_component


@item(33, 'monitors, alert rules, dashboard')
def monitoring(overlay, site):
    found = with_component(f'{MANIFESTS}/overlays/{overlay.name}', 'monitoring')
    monitor, rules = found.one('PodMonitor', 'atoll'), found.one('PrometheusRule', 'atoll')
    expect(monitor['spec']['selector']['matchLabels'].items() <= overlay.template('router')['metadata']['labels'].items(), 'the monitor selects nothing')
    site.promtool(rules)
    ports = {e['port'] for e in monitor['spec']['podMetricsEndpoints']}
    if not ports <= overlay.ports('router').keys(): raise Waits(f'rules pass promtool; {site.front_doors_wait()}; no dashboard')
    dashboards = [c for c in found.all('ConfigMap') if c['metadata'].get('labels', {}).get('grafana_dashboard') == '1']
    expect(len(dashboards) == 1 and len(dashboards[0]['data']) == 1, f'expected one dashboard, found {[c["metadata"]["name"] for c in dashboards]}')
    board = json.loads(*dashboards[0]['data'].values())
    queries = [target['expr'] for panel in board['panels'] for target in panel.get('targets', [])]
    absent = absent_metrics(' '.join([r['expr'] for g in rules['spec']['groups'] for r in g['rules']] + queries), site)
    expect(not absent, f'/metrics has no {", ".join(absent)}')
    return f'{sum(len(g["rules"]) for g in rules["spec"]["groups"])} alerts pass promtool, {len(queries)} queries of a dashboard, every metric is in /metrics'


def absent_metrics(text, site):
    """Names of the router's metrics in a text of queries that its /metrics does not have under load."""
    return sorted(set(re.findall(r'\b(?:vllm:|atoll_)\w+', text)) - site.processes().metric_names())


def autoscaled(overlay, component):
    found = with_component(f'{MANIFESTS}/overlays/{overlay.name}', component)
    kind = 'HorizontalPodAutoscaler' if component.endswith('hpa') else 'ScaledObject'
    scalers = {o['spec']['scaleTargetRef']['name']: o['spec'] for o in found.all(kind)}
    expect(scalers.keys() == {'atoll-attention', 'atoll-expert'}, f'{component} scales {sorted(scalers)}')
    for name in scalers: expect('replicas' not in found.one('StatefulSet', name)['spec'], f'{component}: every apply would set {name} back to its replicas')
    return found, scalers


@item(34, 'autoscaling by waiting and running requests, never by CPU')
def autoscaling(overlay, site):
    hpa, scalers = autoscaled(overlay, 'autoscaling-hpa')
    for version in site.versions: site.validate(version, hpa.all('HorizontalPodAutoscaler'))
    for name, spec in scalers.items():
        expect(all(m['type'] != 'Resource' for m in spec['metrics']), f'{name}: scales by CPU or memory')
        expect([m['external']['metric']['name'] for m in spec['metrics']] == ['atoll_requests_waiting_and_running'], spec['metrics'])
        expect(all('averageValue' in m['external']['target'] for m in spec['metrics']), f'{name}: not per replica')
    for name, spec in autoscaled(overlay, 'autoscaling-keda')[1].items():
        for trigger in spec['triggers']:
            query = trigger['metadata']['query']
            expect('num_requests_waiting' in query and 'num_requests_running' in query, f'{name}: {query}')
            expect(trigger['metricType'] == 'AverageValue', f'{name}: not per replica')
    if 'metrics' not in overlay.ports('router'): raise Waits(f'HPA and KEDA components render; {site.front_doors_wait()}')
    absent = absent_metrics(query, site)
    expect(not absent, f'/metrics has no {", ".join(absent)}')
    return 'components autoscaling-hpa and autoscaling-keda'


@item(35, 'scale-down waits at least for a drain')
def stabilisation(overlay, site):
    behaviours = [(n, s['behavior']) for n, s in autoscaled(overlay, 'autoscaling-hpa')[1].items()]
    behaviours += [(n, s['advanced']['horizontalPodAutoscalerConfig']['behavior']) for n, s in autoscaled(overlay, 'autoscaling-keda')[1].items()]
    for name, behaviour in behaviours:
        down, grace = behaviour['scaleDown'], overlay.pod(name.removeprefix('atoll-'))['terminationGracePeriodSeconds']
        expect(down['stabilizationWindowSeconds'] >= grace, f'{name}: {down["stabilizationWindowSeconds"]} s, a drain may take {grace} s')
        expect([(p['type'], p['value']) for p in down['policies']] == [('Pods', 1)], f'{name}: more than one pod at a time')
        expect(down['policies'][0]['periodSeconds'] >= grace, f'{name}: the next pod goes before the last one is drained')
    return 'one pod per drain'


@item(37, 'InferencePool and HTTPRoute')
def gateway(overlay, site):
    found = Rendered('gateway', kustomize(f'{MANIFESTS}/examples/inference-gateway'))
    pool, route = found.all('InferencePool')[0]['spec'], found.all('HTTPRoute')[0]['spec']
    labels = overlay.template('router')['metadata']['labels']
    expect(pool['selector']['matchLabels'].items() <= labels.items(), f'the pool selects {pool["selector"]}, the router has {labels}')
    expect(labels.get('llm-d.ai/engine-type') == 'vllm', 'no label llm-d.ai/engine-type')
    backend = route['rules'][0]['backendRefs'][0]
    expect((backend['kind'], backend['name']) == ('InferencePool', found.all('InferencePool')[0]['metadata']['name']), backend)
    if 'http' not in overlay.ports('router'): raise Waits(f'the example renders; {site.front_doors_wait()}')
    expect([p['number'] for p in pool['targetPorts']] == [overlay.ports('router')['http']], pool['targetPorts'])
    return 'examples/inference-gateway'


@item(42, 'a runbook page per alert')
def runbooks(overlay, site):
    rules = with_component(f'{MANIFESTS}/overlays/{overlay.name}', 'monitoring').one('PrometheusRule', 'atoll')
    alerts = [r for g in rules['spec']['groups'] for r in g['rules'] if 'alert' in r]
    pages = set()
    for alert in alerts:
        page = re.search(r'docs/runbooks/([a-z_]+\.md)', alert['annotations']['runbook_url'])
        expect(page, f'{alert["alert"]}: no runbook_url')
        path = os.path.join(ROOT, 'docs', 'runbooks', page[1])
        expect(os.path.exists(path) and alert['alert'] in open(path).read(), f'{alert["alert"]}: docs/runbooks/{page[1]} is missing or about another alert')
        pages.add(page[1])
    lost = set(os.listdir(os.path.join(ROOT, 'docs', 'runbooks'))) - pages - {'README.md'}
    expect(not lost, f'pages without an alert: {sorted(lost)}')
    return f'{len(alerts)} alerts, {len(pages)} pages'
