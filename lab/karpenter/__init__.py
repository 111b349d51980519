"""The real Karpenter controller on this machine, against the real control plane and an AWS that is played.

rehearsal_cloud.py is that AWS: MiniStack and moto behind one address; controller.py runs the controller as its chart would; kubelet.py
plays machines, whose pods are local processes; own_network.py keeps all of it in a network of its own, since the controller listens on
every interface.
"""
