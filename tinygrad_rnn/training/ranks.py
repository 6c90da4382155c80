"""The processes that share a run: one alone, or the ranks of an MPI communicator.

All ranks run the same loop on the same weights; each computes on its part of a batch. Whatever one of them could find
out alone (an error, Ctrl-C, its clock, a callback's wish, a full disk) goes through ``gather``, so that all go on, or
stop, at the same place, and none waits for one that has left. A step costs two reductions: a gather of a few numbers,
and the sum of all gradients.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from ..autodiff.extras import optional
from ..autodiff.tensor import Tensor
from ..compiler.runtime import threads
from ..nn import Module

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)


class RankFailed(RuntimeError):
    """Another process of the run failed; its message is quoted."""


class Alone:
    """A run in one process. It decides alone on everything that several processes would have to agree on.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes that share the run.
    """

    rank = 0
    size = 1

    def gather(self, work: Callable[[], T]) -> list[T]:
        """The results of ``work`` on all ranks, in the order of the ranks."""
        return [work()]

    def everywhere(self, work: Callable[[], T]) -> T:
        """The result of ``work`` on this rank, once all ranks have one; it isn't sent to the others."""
        kept: list[T] = []
        self.gather(lambda: kept.append(work()))
        return kept[0]

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over all ranks."""

    def check_alike(self, model: Module) -> None:
        """Raise RuntimeError if the ranks no longer have the same weights, bit for bit."""

    def check_same(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Raise ValueError, by name, if the ranks were started with different settings."""

    def agreed(self, error: ErrorT) -> ErrorT:
        """Return an error, marked as one that every rank raises."""
        return error

    @contextmanager
    def together(self) -> Iterator[None]:
        """A context that shares out the cores of this machine, and ends all ranks if one fails."""
        yield


class Ranks(Alone):
    """The processes of an MPI communicator, as mpi4py has it.

    Args:
        communicator: ``mpi4py.MPI.COMM_WORLD``, or part of it. The run gets a duplicate: its messages meet no others.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes that share the run.
        bytes_per_step: the number of bytes of gradients that one step sums.

    Raises:
        TypeError: the communicator isn't mpi4py's.
        ImportError: mpi4py isn't installed.
    """

    def __init__(self, communicator: Any) -> None:
        MPI = optional("mpi", "mpi4py.MPI", "fit(communicator=) needs mpi4py")
        if not isinstance(communicator, MPI.Intracomm):
            raise TypeError(f"fit: communicator is mpi4py's, such as MPI.COMM_WORLD, not {communicator!r:.80}")
        self._in_place = MPI.IN_PLACE
        self._communicator = communicator.Dup()
        self.rank, self.size = communicator.rank, communicator.size
        self.bytes_per_step = 0
        self._agreed: BaseException | None = None  # an error that all ranks have heard of

    def agreed(self, error: ErrorT) -> ErrorT:
        """Return an error, marked as one that every rank raises: ``together`` then ends no process for it."""
        self._agreed = error
        return error

    def gather(self, work: Callable[[], T]) -> list[T]:
        """The results of ``work`` on all ranks, in the order of the ranks.

        Raises:
            Exception: the error that ``work`` raised on this rank.
            RankFailed: ``work`` raised an error on another rank.
        """
        result, error, text = None, None, None
        try:
            result = work()
        except Exception as problem:
            error, text = problem, "".join(traceback.format_exception(problem))
        said = self._communicator.allgather((result, text))
        failed = [f"rank {i} of {self.size} failed:\n{text}" for i, (_, text) in enumerate(said) if text is not None]
        if failed:
            raise self.agreed(RankFailed("\n".join(failed)) if error is None else error)
        return [result for result, _ in said]

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by its sum over all ranks: one flat array, and one reduction, for each dtype."""
        by_dtype: dict[np.dtype[Any], list[Tensor]] = {}
        for parameter in parameters:
            by_dtype.setdefault(parameter.dtype, []).append(parameter)
        self.bytes_per_step = 0
        for dtype, group in by_dtype.items():
            gradients = [np.zeros(p.shape, dtype) if p.grad is None else p.grad for p in group]
            flat = np.concatenate([np.ravel(gradient) for gradient in gradients], dtype=dtype)
            self._communicator.Allreduce(self._in_place, flat)
            self.bytes_per_step += flat.nbytes
            ends = np.cumsum([parameter.size for parameter in group])
            for parameter, summed in zip(group, np.split(flat, ends[:-1])):
                parameter.grad = summed.reshape(parameter.shape)

    def check_alike(self, model: Module) -> None:
        """Raise RuntimeError if the ranks no longer have the same weights, bit for bit."""
        digest = digest_of([parameter.data for parameter in model.parameters()])
        if len(set(self.gather(lambda: digest))) > 1:
            raise self.agreed(
                RuntimeError(
                    "the processes of this run no longer have the same weights, bit for bit. Do callbacks change the "
                    "model on one rank alone, or does it draw random numbers that fit doesn't know of (generators=)?"
                )
            )

    def check_same(self, facts: Callable[[], Mapping[str, str]]) -> None:
        """Raise ValueError, by name, if the settings that ``facts`` returns aren't the same on all ranks."""
        by_rank: Sequence[Mapping[str, str]] = self.gather(facts)
        for name in dict.fromkeys(name for facts in by_rank for name in facts):
            own = by_rank[0].get(name)
            for rank, others in enumerate(by_rank):
                if others.get(name) != own:
                    raise self.agreed(
                        ValueError(
                            f"the processes of this run differ in {name}: {own} on rank 0, {others.get(name)} on rank "
                            f"{rank}. Have all of them make the same model, optimiser and data, from the same seeds "
                            "and files."
                        )
                    )

    @contextmanager
    def together(self) -> Iterator[None]:
        """A context that shares out the cores of this machine, and ends all ranks if one fails.

        An error that all ranks know of is raised on each of them. Any other would leave them waiting, so it is printed
        here, and ends all processes of the job.
        """
        from threadpoolctl import threadpool_info, threadpool_limits

        share = min([self._cores(), *(pool["num_threads"] for pool in threadpool_info())])  # never more than allowed
        try:
            with threadpool_limits(share), threads.at_most(share):
                yield
        except BaseException as error:
            if error is not self._agreed and not getattr(error, "on_all_ranks", False):
                traceback.print_exc()
                print(f"rank {self.rank} of {self.size} failed with the error above, so all ranks end", file=sys.stderr)
                sys.stderr.flush()
                self._communicator.Abort(1)
            raise
        finally:
            self._communicator.Free()

    def _cores(self) -> int:
        """A fair share of the cores of this machine."""
        hosts = self.gather(socket.gethostname)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // hosts.count(hosts[self.rank]))


def digest_of(arrays: Iterable[np.ndarray]) -> str:
    """A short text that differs between arrays of different numbers, shapes or types."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()
