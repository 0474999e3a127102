"""The database that the processes of a search share, and the study in it."""

from __future__ import annotations

import hashlib
import json
import random
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from resinflow.flow import InvalidInputError
from resinflow.search.search_config import SearchConfig
from resinflow.search.search_points import BEGUN
from resinflow.search.search_sampler import TrialSeededSampler

_OPENINGS = 5
_LOCK_TIMEOUT = 60  # seconds
_CLAIM = "claim"


@dataclass(frozen=True)
class Heartbeat:
    """How the processes of a search see that one of them died.

    Attributes:
        interval: seconds between two signs of life.
        grace: seconds without one after which a running trial counts as dead.
    """

    interval: int = 15
    grace: int = 90


HEARTBEAT = Heartbeat()


@dataclass(frozen=True)
class SharedStudy:
    """A study, and how its processes tell each other that they live.

    Attributes:
        study: the trials.
        storage: where they are.
        beat: signs of life.
    """

    study: optuna.Study
    storage: optuna.storages.RDBStorage
    beat: Heartbeat

    def trials(self) -> list[FrozenTrial]:
        """Return all trials as the storage has them now."""
        return self.study.get_trials(deepcopy=False)

    def begin(self, trial: optuna.Trial) -> None:
        """Give a trial's first sign of life; a thread gives the later ones while ``Study.optimize`` runs."""
        study = self.storage.get_study_id_from_name(self.study.study_name)
        self.storage.record_heartbeat(self.storage.get_trial_id_from_study_id_trial_number(study, trial.number))
        trial.set_user_attr(BEGUN, True)

    def bury(self) -> None:
        """Let the trials of dead processes fail."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self.study)
        # a process that died before its first sign of life has left a trial that Optuna never finds stale
        latest = datetime.now() - timedelta(seconds=self.beat.grace + self.beat.interval)
        for trial in self.trials():
            unborn = trial.state == TrialState.RUNNING and BEGUN not in trial.user_attrs
            if unborn and trial.datetime_start is not None and trial.datetime_start < latest:
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def open_study(url: str, config: SearchConfig, claim: Mapping[str, Any], beat: Heartbeat) -> SharedStudy:
    """Return the study of a search, made on first use.

    Args:
        url: of a database, as SQLAlchemy has it; Optuna makes its tables there.
        config: the search recipe; its name is the study's.
        claim: all that must be the same in every process of the search.
        beat: signs of life.

    Raises:
        InvalidInputError: the storage cannot be used, or holds a study of this name with another claim.
    """
    storage = _open_storage(url, beat)
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=config.pruner_trials, n_warmup_steps=config.pruner_epochs)
        if config.pruner == "median"
        else optuna.pruners.NopPruner()
    )
    study = optuna.create_study(
        storage=storage,
        study_name=config.name,
        sampler=TrialSeededSampler(config.seed),
        pruner=pruner,
        direction="minimize",
        load_if_exists=True,
    )
    digest = hashlib.sha256(json.dumps(claim, sort_keys=True).encode()).hexdigest()
    if study.user_attrs.get(_CLAIM, digest) != digest:
        raise InvalidInputError(
            f"the storage holds a search {config.name} with another recipe or data set; needed: the same; choose another name."
        )
    study.set_user_attr(_CLAIM, digest)
    return SharedStudy(study, storage, beat)


def _open_storage(url: str, beat: Heartbeat) -> optuna.storages.RDBStorage:
    """Open the database, several times if need be: processes that start at once may trip over each other's making of tables."""
    for opening in range(1, _OPENINGS):
        try:
            return _connect(url, beat)
        except (ArgumentError, ImportError):
            break
        except (SQLAlchemyError, StorageInternalError):
            time.sleep(random.uniform(0.1, 0.5) * opening)
    try:
        return _connect(url, beat)
    except (ArgumentError, ImportError, RuntimeError, SQLAlchemyError, StorageInternalError) as error:
        reason = (str(error.__cause__ or error) or type(error).__name__).splitlines()[0]
        raise InvalidInputError(
            f"the storage cannot be used ({reason}); needed: the URL of a database that answers and whose driver is installed, "
            "e.g. sqlite:////folder/search.db or postgresql+psycopg2://user@host/base; check --storage."
        ) from None


def _connect(url: str, beat: Heartbeat) -> optuna.storages.RDBStorage:
    sqlite = url.startswith("sqlite")
    engine = {"connect_args": {"timeout": _LOCK_TIMEOUT}} if sqlite else {"pool_pre_ping": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the heartbeat
        storage = optuna.storages.RDBStorage(url, engine, heartbeat_interval=beat.interval, grace_period=beat.grace)
    if sqlite:
        event.listen(storage.engine, "begin", _lock)
    return storage


def _lock(connection: Connection) -> None:
    """Lock an SQLite file before the first look: it knows no row locks, and two processes would take one waiting trial."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
