"""Pulumi components for batch work on machines that the cloud may take away: `pulumi_spotbatch.aws` and `pulumi_spotbatch.eks`."""
