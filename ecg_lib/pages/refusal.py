"""Why a picture is not read."""

from ecg_lib.errors import InputError


class PageRefused(InputError):  # noqa: N818 - what happened to the page, not to the program
    """A picture that is not an ECG page which can be read.

    Attributes:
        reason: short key of the reason: `"blank"`, `"not_ecg"`, `"three_lead_strip"`, `"partial"`,
            `"upside_down"`, `"mirrored"` or `"sideways"`.
    """

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason
