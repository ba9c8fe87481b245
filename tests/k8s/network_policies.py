"""What a set of NetworkPolicies lets through, computed from the rendered objects as Kubernetes defines it."""


def matches(selector, labels):
    if any(labels.get(key) != value for key, value in selector.get('matchLabels', {}).items()): return False
    for rule in selector.get('matchExpressions', []):
        value, operator = labels.get(rule['key']), rule['operator']
        if operator == 'In' and value not in rule['values']: return False
        if operator == 'NotIn' and value in rule['values']: return False
        if operator == 'Exists' and value is None: return False
        if operator == 'DoesNotExist' and value is not None: return False
    return True


class Pod:
    def __init__(self, name, labels, ports=None, namespace='atoll', namespace_labels=None):
        self.name, self.labels, self.ports, self.namespace = name, labels, ports or {}, namespace
        self.namespace_labels = {'kubernetes.io/metadata.name': namespace, **(namespace_labels or {})}


class Policies:
    def __init__(self, policies):
        self.policies = policies

    def allow(self, source, target, port, protocol='TCP'):
        """Whether a connection passes both the source's egress and the target's ingress rules."""
        return self._passes('Egress', source, target, target, port, protocol) and self._passes('Ingress', target, source, target, port, protocol)

    def allowed_ports(self, source, target, candidates):
        return [port for port in candidates if self.allow(source, target, port)]

    def _passes(self, direction, own, peer, target, port, protocol):
        chosen = [p for p in self.policies if p['metadata']['namespace'] == own.namespace and direction in p['spec']['policyTypes']
                  and matches(p['spec']['podSelector'], own.labels)]
        if not chosen: return True
        rules = [rule for policy in chosen for rule in policy['spec'].get(direction.lower(), [])]
        return any(self._peer(rule.get('from' if direction == 'Ingress' else 'to'), own, peer) and
                   self._port(rule.get('ports'), target, port, protocol) for rule in rules)

    @staticmethod
    def _peer(peers, own, peer):
        if not peers: return True
        for entry in peers:
            if 'ipBlock' in entry: continue
            in_namespace = matches(entry['namespaceSelector'], peer.namespace_labels) if 'namespaceSelector' in entry else peer.namespace == own.namespace
            if in_namespace and matches(entry.get('podSelector', {}), peer.labels): return True
        return False

    @staticmethod
    def _port(ports, target, port, protocol):
        if not ports: return True
        for entry in ports:
            first = entry.get('port')
            if isinstance(first, str): first = target.ports.get(first)
            if first is None or entry.get('protocol', 'TCP') != protocol: continue
            if first <= port <= entry.get('endPort', first): return True
        return False
