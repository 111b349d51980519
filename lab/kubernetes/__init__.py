"""Kubernetes on this machine: the real control plane, a stand-in for Pulumi's Kubernetes provider, Karpenter's own charts and controller.

local_cluster.py starts and stops etcd, the API server, the controller manager and the scheduler; provider/ answers the engine;
programs.py and karpenter.py say where the programs, charts and definitions come from (the Go modules in lab/tools).
"""

from lab.kubernetes.local_cluster import LocalCluster

__all__ = ["LocalCluster"]
