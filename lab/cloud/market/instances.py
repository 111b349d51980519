"""Every machine of the market: launched from a template, warned, shut down, killed."""

import asyncio
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from lab.cloud.market import emulator
from lab.cloud.market.instance import Instance
from lab.cloud.market.journal import Journal
from lab.cloud.market.machine_process import MachineProcess
from lab.cloud.market.market_settings import MarketSettings
from lab.cloud.market.metadata import check_tag_keys, credential_values, metadata
from lab.cloud.market.pools import Candidate, Pools


class Instances:
    """Launches and ends machines, and tells owners when one has gone.

    `on_gone` is called with each instance once it is terminated, however that came about.
    """

    def __init__(self, settings: MarketSettings, pools: Pools, journal: Journal) -> None:
        self._settings = settings
        self._pools = pools
        self._journal = journal
        self.on_gone: list[Callable[[Instance], None]] = []
        self._all: dict[str, Instance] = {}

    def all(self) -> list[Instance]:
        """Every instance ever launched, in order."""
        return list(self._all.values())

    def get(self, instance_id: str) -> Instance | None:
        return self._all.get(instance_id)

    def of(self, owner: str) -> list[Instance]:
        """The owner's instances that are not terminated, oldest first."""
        return [one for one in self._all.values() if one.owner == owner and one.present]

    def launch(
        self, candidate: Candidate, owner: str, owner_tags: dict[str, str], *, spot: bool = True, extra_metadata: dict[str, str] | None = None
    ) -> Instance:
        """Start a machine; its user data runs at once. Raises Refusal if EC2 would refuse the template's data."""
        data = candidate.template
        options = data.get("MetadataOptions") or {}
        shows_tags = options.get("InstanceMetadataTags") == "enabled"
        if shows_tags:
            check_tag_keys(emulator.instance_tags(data, owner_tags))
        spot_request = "sir-" + uuid.uuid4().hex[:8] if spot else None
        record = emulator.new_instance(data, candidate.instance_type, candidate.subnet, owner_tags, spot_request=spot_request)
        instance_id = record["InstanceId"]
        account, region = emulator.scope()
        role = emulator.role_of(record.get("IamInstanceProfile"))
        keys = emulator.credentials(role, instance_id) if role else {}
        visible_tags = emulator.tags(instance_id) if shows_tags else {}
        values = metadata(record, region=region, account=account, role=role, credentials=keys or None, tags=visible_tags) | (extra_metadata or {})
        process = MachineProcess(
            self._settings.folder / instance_id,
            self._settings.folder / f"{instance_id}.log",
            self._settings.python,
            lambda status: self._powered_off(instance_id),
        )
        instance = Instance(
            id=instance_id,
            pool=candidate.pool,
            subnet=candidate.subnet,
            owner=owner,
            weight=candidate.weight,
            spot_request=spot_request,
            record=record,
            scope=(account, region),
            process=process,
            launched=time.time(),
            credentials=keys,
        )
        self._all[instance_id] = instance
        if spot:
            self._pools.take(candidate.pool)
        self._move(instance, 0, "pending")
        process.start(
            {
                "boot": str(uuid.uuid4()),
                "endpoint": self._settings.endpoint,
                "toolbox": str(self._settings.toolbox),
                "metadata": values,
                # Accounts of today ask for tokens unless a template says otherwise.
                "tokens_required": options.get("HttpTokens") != "optional",
                "user_data": record["UserData"],
            }
        )
        self._journal.note("launched", machine=instance_id, type=candidate.instance_type, zone=candidate.zone, owner=owner, spot=spot)
        self._move(instance, 16, "running")
        if role:
            asyncio.get_running_loop().call_later(emulator.CREDENTIAL_SECONDS / 2, self._renew, instance, role)
        return instance

    def shut_down(self, instance: Instance, reason: str) -> None:
        """TerminateInstances: no Spot notice, services get SIGTERM, and after `shutdown_seconds` the power is cut."""
        if not instance.living:
            return
        instance.reason = reason
        self._move(instance, 32, "shutting-down")
        self._journal.note("shutting-down", machine=instance.id, reason=reason)
        instance.process.shut_down()
        asyncio.get_running_loop().call_later(self._settings.shutdown_seconds, instance.process.kill)
        if instance.spot_request:
            self._pools.give_back(instance.pool)

    def kill(self, instance: Instance, reason: str, *, event: bool = True) -> None:
        """Take the machine now: no process of it runs when this returns. Without `event`, EventBridge is not told."""
        if not instance.present:
            return
        instance.reason = reason
        with emulator.inside(instance.scope):
            instance.process.kill()
            self._journal.note("killed", machine=instance.id, reason=reason)
            self._move(instance, 32, "shutting-down", event=event)
            self._gone(instance, event=event)

    def kill_all(self) -> None:
        """The market closes: end every machine, tell nobody."""
        for instance in self._all.values():
            instance.process.kill()

    def _powered_off(self, instance_id: str) -> None:
        instance = self._all[instance_id]
        if instance.present:
            if instance.living:
                # The machine shut itself down, or its first process was killed: EC2 terminates a one-time Spot instance then.
                instance.reason = "instance-terminated-by-user"
                self._move(instance, 32, "shutting-down")
                if instance.spot_request:
                    self._pools.give_back(instance.pool)
            self._gone(instance)

    def _gone(self, instance: Instance, *, event: bool = True) -> None:
        instance.ended = time.time()
        self._move(instance, 48, "terminated", event=event)
        self._journal.note("terminated", machine=instance.id, reason=instance.reason)
        asyncio.get_running_loop().run_in_executor(None, _clear, instance.process.root)
        for listener in self.on_gone:
            listener(instance)

    def _move(self, instance: Instance, code: int, state: str, *, event: bool = True) -> None:
        instance.state = state
        emulator.set_state(instance.id, code, state)
        if event:
            account, region = instance.scope
            arn = f"arn:aws:ec2:{region}:{account}:instance/{instance.id}"
            emulator.publish("aws.ec2", "EC2 Instance State-change Notification", {"instance-id": instance.id, "state": state}, [arn])

    def _renew(self, instance: Instance, role: str) -> None:
        if instance.living:
            instance.credentials = emulator.credentials(role, instance.id)
            instance.process.change_metadata(dict(credential_values(role, instance.credentials)))
            asyncio.get_running_loop().call_later(emulator.CREDENTIAL_SECONDS / 2, self._renew, instance, role)


def _clear(root: Path) -> None:
    """A machine's disk goes with it; what its job wrote into logs of its own stays beside the console log, for whoever counts afterwards."""
    for log in (root / "var/lib/spotbatch").glob("*.log"):
        shutil.copy(log, root.with_name(f"{root.name}-{log.name}"))
    shutil.rmtree(root, ignore_errors=True)
