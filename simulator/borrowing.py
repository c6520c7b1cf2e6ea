"""Arrays that are not counted, for the inner loops.

numba counts references on every array a function receives, with atomic instructions; in functions
as small as those of a day this takes most of the time. A borrowed array points to the same memory
and has no counter.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def borrowed(typing_context: Any, array: Any) -> Any:
    """The same array without its counter of references, inside compiled code only.

    The assumption: whoever owns the memory outlives every use. It holds for arrays received from
    Python by the function that borrows, and fails for arrays made inside it.
    """
    if not isinstance(array, types.Array):
        raise TypingError("borrowed() takes an array")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        view = make_array(signature.args[0])(context, builder, args[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        return view._getvalue()

    return array(array), codegen
