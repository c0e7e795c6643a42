"""What Airflow's database keeps for one task instance, as its API server gives it to a worker."""

from __future__ import annotations

import json
from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms

from chaos.beside.subjects import CONNECTION, connection

_NO_CONNECTION = dict.fromkeys(("host", "schema", "login", "password", "port", "extra"))


class Records:
    """XComs, the task state store, and the one connection.

    :param url: the address that the connection names.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.xcoms: dict[str, Any] = {}
        self._store: dict[str, Any] = {}

    def answer(self, message: Any) -> Any:
        """Answer what is asked of them, and take what is told.

        :raises TypeError: for a message that is not known here.
        """
        match message:
            case comms.GetConnection():
                fields = connection(self._url) if message.conn_id == CONNECTION else {"conn_type": "aws"}
                return comms.ConnectionResult.model_validate({"conn_id": message.conn_id, **_NO_CONNECTION, **fields})
            case comms.SetXCom():
                self.xcoms[message.key] = message.value
            case comms.DeleteXCom():
                self.xcoms.pop(message.key, None)
            case comms.GetXCom():
                return comms.XComResult(key=message.key, value=self.xcoms.get(message.key))
            case comms.GetXComSequenceSlice():
                return comms.XComSequenceSliceResult(
                    root=[value for key, value in self.xcoms.items() if key == message.key]
                )
            case comms.SetTaskStateStore():
                self._store[message.key] = json.loads(json.dumps(message.value))
            case comms.GetTaskStateStore():
                if message.key not in self._store:
                    return comms.ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
                return comms.TaskStateStoreResult(value=self._store[message.key])
            case comms.DeleteTaskStateStore():
                self._store.pop(message.key, None)
            case comms.SetRenderedFields() | comms.SetRenderedMapIndex() | comms.MaskSecret():
                pass
            case _:
                raise TypeError(f"a worker asked what nobody answers here: {message!r}")
        return comms.OKResponse(ok=True)
