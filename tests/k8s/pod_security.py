"""The Pod Security Standards, as far as a pod template can break them: what forbids a pod at each level."""

SAFE_SYSCTLS = {'kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.ip_unprivileged_port_start', 'net.ipv4.tcp_syncookies',
                'net.ipv4.ping_group_range', 'net.ipv4.ip_local_reserved_ports', 'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout',
                'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes'}
BASELINE_CAPABILITIES = {'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP',
                         'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'}
RESTRICTED_VOLUMES = {'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'}


def against_baseline(pod):
    broken = [f'{key} is set' for key in ('hostNetwork', 'hostPID', 'hostIPC') if pod.get(key)]
    broken += [f'volume {v["name"]} is a hostPath' for v in pod.get('volumes', []) if 'hostPath' in v]
    broken += [f'sysctl {s["name"]}' for s in pod.get('securityContext', {}).get('sysctls', []) if s['name'] not in SAFE_SYSCTLS]
    for container in pod['containers'] + pod.get('initContainers', []):
        context = container.get('securityContext', {})
        if context.get('privileged'): broken.append(f'{container["name"]} is privileged')
        added = set(context.get('capabilities', {}).get('add', []))
        broken += [f'{container["name"]} adds {name}' for name in sorted(added - BASELINE_CAPABILITIES)]
        broken += [f'{container["name"]} has a host port' for p in container.get('ports', []) if p.get('hostPort')]
    return broken


def against_restricted(pod):
    broken, shared = against_baseline(pod), pod.get('securityContext', {})
    broken += [f'volume {v["name"]} is none of the allowed kinds' for v in pod.get('volumes', []) if not RESTRICTED_VOLUMES & v.keys()]
    for container in pod['containers'] + pod.get('initContainers', []):
        name, context = container['name'], container.get('securityContext', {})
        if context.get('allowPrivilegeEscalation') is not False: broken.append(f'{name} may gain privileges')
        if context.get('runAsNonRoot', shared.get('runAsNonRoot')) is not True: broken.append(f'{name} may run as root')
        if context.get('runAsUser', shared.get('runAsUser')) == 0: broken.append(f'{name} runs as root')
        if 'ALL' not in context.get('capabilities', {}).get('drop', []): broken.append(f'{name} keeps capabilities')
        if set(context.get('capabilities', {}).get('add', [])) - {'NET_BIND_SERVICE'}: broken.append(f'{name} adds capabilities')
        profile = context.get('seccompProfile', shared.get('seccompProfile', {})).get('type')
        if profile not in ('RuntimeDefault', 'Localhost'): broken.append(f'{name} has no seccomp profile')
    return broken
