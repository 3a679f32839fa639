// Kubernetes and process metadata. What is unknown is "", 0 or false.
import type { FunctionSignature } from '../signature.ts';
import { always, scalar, unavailable } from './build.ts';

const POD = { rules: always('ST_POD_NAME') };
const SERVICE = { rules: always('ST_SERVICE_NAME') };
const NAMESPACE = { rules: always('ST_NAMESPACE_NAME') };
const NODE = { rules: always('ST_NODE_NAME') };

export const UPIDS: readonly FunctionSignature[] = [
  scalar('upid', 'II>U III>U', 'UPID of (agent id,) process id and start ticks', { rules: always('ST_UPID', 2, 3) }),
  scalar('upid_to_string', 'U>S', 'Text asid:pid:start'),
  scalar('upid_to_asid', 'U>I', 'Agent id of a process', { rules: always('ST_ASID') }),
  scalar('upid_to_pid', 'U>I', 'Process id'),
  scalar('upid_to_start_ts', 'U>T', 'Start of a process as recorded in its UPID'),
  scalar('upid_to_cmdline', 'U>S', 'Command line of a process'),
  scalar('upid_to_container_id', 'U>S', 'Container id of a process'),
  scalar('upid_to_container_name', 'U>S', 'Container name of a process', { rules: always('ST_CONTAINER_NAME') }),
  scalar('upid_to_pod_id', 'U>S', 'Pod id of a process'),
  scalar('upid_to_pod_name', 'U>S', 'Pod of a process, namespace/name', POD),
  scalar('upid_to_namespace', 'U>S', 'Namespace of a process', NAMESPACE),
  scalar('upid_to_node_name', 'U>S', 'Node of a process', NODE),
  scalar('upid_to_hostname', 'U>S', 'Host name of the pod of a process'),
  scalar('upid_to_service_id', 'U>S', 'Ids of the services of a process'),
  scalar('upid_to_service_name', 'U>S', 'Services of a process: one name, or a JSON array of several', SERVICE),
  scalar('upid_to_replicaset_id', 'U>S', 'Replica set id of a process'),
  scalar('upid_to_replicaset_name', 'U>S', 'Replica set of a process, namespace/name'),
  scalar('upid_to_deployment_id', 'U>S', 'Deployment id of a process'),
  scalar('upid_to_deployment_name', 'U>S', 'Deployment of a process, namespace/name'),
  scalar('_upid_to_podname_local_addr_fallback', 'UST>S', 'Pod of a process, else the pod that owns an address', {
    rules: always('ST_POD_NAME', 3),
  }),
  unavailable('upid_to_pod_status', 'U>S', 'Pod status of a process, as JSON'),
  unavailable('upid_to_pod_qos', 'U>S', 'Quality of service class of the pod of a process'),
];

export const PODS: readonly FunctionSignature[] = [
  scalar('pod_id_to_pod_name', 'S>S', 'Pod name, namespace/name', POD),
  scalar('pod_id_to_namespace', 'S>S', 'Namespace of a pod', NAMESPACE),
  scalar('pod_id_to_node_name', 'S>S', 'Node of a pod', NODE),
  scalar('pod_id_to_service_id', 'S>S', 'Ids of the services of a pod'),
  scalar('pod_id_to_service_name', 'S>S', 'Services of a pod: one name, or a JSON array of several', SERVICE),
  scalar('pod_id_to_replicaset_id', 'S>S', 'Replica set id of a pod'),
  scalar('pod_id_to_replicaset_name', 'S>S', 'Replica set of a pod, namespace/name'),
  scalar('pod_id_to_deployment_id', 'S>S', 'Deployment id of a pod'),
  scalar('pod_id_to_deployment_name', 'S>S', 'Deployment of a pod, namespace/name'),
  scalar('pod_name_to_pod_id', 'S>S', 'Id of a pod'),
  scalar('pod_name_to_pod_ip', 'S>S', 'Address of a pod'),
  scalar('pod_name_to_namespace', 'S>S', 'The part of a pod name before its only slash', NAMESPACE),
  scalar('pod_name_to_service_id', 'S>S', 'Ids of the services of a pod'),
  scalar('pod_name_to_service_name', 'S>S', 'Services of a pod: one name, or a JSON array of several', {
    rules: [{ args: ['ST_POD_NAME'], result: 'ST_SERVICE_NAME' }],
  }),
  scalar('pod_name_to_replicaset_id', 'S>S', 'Replica set id of a pod'),
  scalar('pod_name_to_replicaset_name', 'S>S', 'Replica set of a pod, namespace/name'),
  scalar('pod_name_to_deployment_id', 'S>S', 'Deployment id of a pod'),
  scalar('pod_name_to_deployment_name', 'S>S', 'Deployment of a pod, namespace/name'),
  unavailable('pod_id_to_pod_labels', 'S>S', 'Labels of a pod, as JSON'),
  ...['pod_id', 'pod_name'].flatMap((key) => [
    unavailable(`${key}_to_owner_references`, 'S>S', 'Owners of a pod, as JSON'),
    unavailable(`${key}_to_start_time`, 'S>T', 'When a pod started'),
    unavailable(`${key}_to_stop_time`, 'S>T', 'When a pod stopped'),
  ]),
  unavailable('pod_name_to_status', 'S>S', 'Status of a pod, as JSON'),
];

export const SERVICES: readonly FunctionSignature[] = [
  scalar('service_id_to_service_name', 'S>S', 'Service name, namespace/name', SERVICE),
  scalar('service_name_to_service_id', 'S>S', 'Id of a service'),
  scalar('service_id_to_cluster_ip', 'S>S', 'Cluster address of a service', { rules: always('ST_IP_ADDRESS') }),
  unavailable('service_id_to_external_ips', 'S>S', 'External addresses of a service, as JSON array'),
  scalar('service_name_to_namespace', 'S>S', 'The part of a service name before its only slash', NAMESPACE),
  scalar('has_service_name', 'SS>B', 'Whether a name is, or a JSON array of names contains, a service'),
  scalar('has_service_id', 'SS>B', 'Whether an id is, or a JSON array of ids contains, a service'),
  scalar('has_value', 'SS>B', 'Whether a value is, or a JSON array of values contains, a value'),
  scalar('ip_to_pod_id', 'S>S ST>S', 'Id of the pod that owns an address (at a time)'),
  scalar('ip_to_service_id', 'S>S', 'Id of the service with an address, else the services of the pod with it'),
];

export const OBJECTS: readonly FunctionSignature[] = [
  unavailable('container_id_to_status', 'S>S', 'State of a container, as JSON'),
  unavailable('container_id_to_start_time', 'S>T', 'When a container started'),
  unavailable('container_id_to_stop_time', 'S>T', 'When a container stopped'),
  unavailable('container_name_to_container_id', 'S>S', 'Id of a container'),
  unavailable('container_name_to_start_time', 'S>T', 'When a container started'),
  unavailable('container_name_to_stop_time', 'S>T', 'When a container stopped'),
  unavailable('namespace_name_to_namespace_id', 'S>S', 'Id of a namespace'),
  unavailable('replicaset_id_to_replicaset_name', 'S>S', 'Replica set name, namespace/name'),
  unavailable('replicaset_name_to_replicaset_id', 'S>S', 'Id of a replica set'),
  unavailable('deployment_id_to_deployment_name', 'S>S', 'Deployment name, namespace/name'),
  unavailable('deployment_name_to_deployment_id', 'S>S', 'Id of a deployment'),
  ...['replicaset_id', 'replicaset_name', 'deployment_id', 'deployment_name'].flatMap((key) => [
    unavailable(`${key}_to_namespace`, 'S>S', 'Namespace of an object'),
    unavailable(`${key}_to_start_time`, 'S>T', 'When an object was made'),
    unavailable(`${key}_to_stop_time`, 'S>T', 'When an object was deleted'),
    unavailable(`${key}_to_status`, 'S>S', 'Status of an object, as JSON'),
  ]),
  ...['replicaset_id', 'replicaset_name'].flatMap((key) => [
    unavailable(`${key}_to_owner_references`, 'S>S', 'Owners of a replica set, as JSON'),
    unavailable(`${key}_to_deployment_id`, 'S>S', 'Id of the deployment that owns a replica set'),
    unavailable(`${key}_to_deployment_name`, 'S>S', 'Deployment that owns a replica set, namespace/name'),
  ]),
];

export const ENVIRONMENT: readonly FunctionSignature[] = [
  scalar('asid', '>I', 'Id of the agent that runs the expression', { rules: always('ST_ASID', 0) }),
  scalar('_exec_hostname', '>S', 'Name of the host that runs the expression'),
  scalar('_exec_host_num_cpus', '>I', 'Number of processors of the host that runs the expression'),
  scalar('vizier_id', '>S', 'Id of this installation'),
  scalar('vizier_name', '>S', 'Name of the cluster'),
  scalar('vizier_namespace', '>S', 'Namespace of this installation'),
  unavailable('get_cidrs', '>S', 'Pod and service address ranges, as JSON array'),
];
