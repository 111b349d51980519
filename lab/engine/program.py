"""Run one Pulumi program against the engine that asked for it; the request is one JSON object on standard input.

Exit code 0: done. 32: failed, and the user was told why. Else: failed.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from pulumi.runtime.settings import reset_options

TOLD = 32


def run(request: dict[str, Any]) -> int:
    """Run the program to its end, every output included; failures are reported to the engine, not raised."""
    path = request["program"]
    os.chdir(request["pwd"])
    sys.argv = [path, *request["args"]]
    sys.path[0] = path if Path(path).is_dir() else str(Path(path).parent)
    reset_options(
        project=request["project"],
        stack=request["stack"],
        root_directory=request["root"],
        parallel=request["parallel"],
        preview=request["preview"],
        organization=request["organization"],
        monitor_address=request["monitor"],
        engine_address=request["engine"],
    )
    pulumi.runtime.set_all_config(request["config"], request["secret_keys"])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Each registration in flight holds one of these threads for as long as the engine takes.
    loop.set_default_executor(ThreadPoolExecutor(max_workers=4 * max(1, min(request["parallel"], 64))))
    # A failed program leaves outputs that nobody awaits any more; the reason was already told.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run_path(path)))
        return 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except grpc.RpcError as error:
        # UNAVAILABLE: the engine went away first, and has said why.
        if error.code() != grpc.StatusCode.UNAVAILABLE:  # pyright: ignore[reportAttributeAccessIssue]
            pulumi.log.error(f"the engine refused a request: {error.details()}")  # pyright: ignore[reportAttributeAccessIssue]
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException as error:
        pulumi.log.error("Program failed with an unhandled exception:\n" + _traceback(error))
    return TOLD


def _run_path(path: str) -> None:
    runpy.run_path(path, run_name="__main__")


def _traceback(error: BaseException) -> str:
    """Without the frames above the user's own first line: this file, runpy, the event loop, the SDK."""
    above = (__file__, "<frozen runpy>", str(Path(asyncio.__file__).parent), str(Path(pulumi.__file__).parent))
    frames = error.__traceback__
    while frames and frames.tb_frame.f_code.co_filename.startswith(above):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames or error.__traceback__))


if __name__ == "__main__":
    code = run(json.load(sys.stdin))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that still waits for the engine must not keep the process
