"""Photos and files of a task, a violation or a stop form: announced, sent in pieces, completed, looked at.

1. `POST /attachments` (AttachmentIn) announces the file. Records go first, files after.
2. `PUT /attachments/{id}/content?offset=&sha256=` sends a piece of at most PIECE_BYTES as application/octet-stream;
   `sha256` is the piece's. The answer's `received` is the offset of the next one. A piece sent again changes nothing;
   one that leaves a gap is 409 `piece_out_of_order` with `received`; one that arrived damaged is 409 `hash_mismatch`.
3. `POST /attachments/{id}/complete` checks the whole against its SHA-256 and its kind by content. 409 `hash_mismatch`:
   what was received is thrown away, send it again from 0. 413, 415 or 422: the file is refused for good.

After a break `GET /attachments/{id}` says how much arrived.
"""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from mobile_contract.fields import AccuracyM, Edge, Line, Moment, MomentOut, Out
from mobile_contract.shapes import Placed

MAX_BYTES = 50 * 2**20
PIECE_BYTES = 4 * 2**20
SCREEN_PX = 1_600
"""The longer side of a screen copy."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AttachmentIn(Placed):
    """A file to come, of exactly one of task, violation or stop form; time and place as the device knew them."""

    id: UUID
    task_id: UUID | None = None
    violation_id: UUID | None = None
    stop_form_id: UUID | None = None
    name: Line
    media_type: Line | None = None
    size: Annotated[int, Field(ge=1, le=MAX_BYTES)]
    sha256: Sha256
    captured_at: Moment | None = None
    accuracy_m: AccuracyM | None = None

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        if sum(each is not None for each in (self.task_id, self.violation_id, self.stop_form_id)) != 1:
            raise ValueError("must belong to one of task_id, violation_id and stop_form_id")
        return self


class CompleteIn(Edge):
    """All pieces are sent."""

    id: UUID | None = None


class Attachment(Out):
    """A file: `received` bytes of `size` arrived; `media_type` is what was sent until it is complete, then what it is.

    `screen`: there is a smaller copy without any data of the camera, at `GET /attachments/{id}/screen`; the original,
    as it was sent, is at `GET /attachments/{id}/original` and asks those who did not send it for a `reason_code`.
    """

    id: UUID
    task_id: UUID | None
    violation_id: UUID | None
    stop_form_id: UUID | None
    name: str
    media_type: str | None
    size: int
    sha256: str
    status: Literal["receiving", "complete", "refused"]
    refused: str | None
    received: int
    screen: bool
    width_px: int | None
    height_px: int | None
    captured_at: MomentOut | None
    lon: float | None
    lat: float | None
    accuracy_m: float | None
    created_by: UUID
    created_at: MomentOut
    completed_at: MomentOut | None
