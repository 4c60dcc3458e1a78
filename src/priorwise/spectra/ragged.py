"""Pieces of one long array as lines of a padded one."""

import torch


def gather(
    ragged: torch.Tensor, starts: torch.Tensor, sizes: torch.Tensor, width: int
) -> torch.Tensor:
    """Copy pieces of an array to the lines of a new one, with zeros behind them.

    Lines of the whole width are copied at once, and what does not belong to a piece is set to zero
    afterwards: several times as fast as piece by piece, most of all if few places are padding.

    Parameters
    ----------
    ragged : torch.Tensor of shape (total,)
        Pieces, one after the other.
    starts, sizes : torch.Tensor of shape (n,), int64
        Place of each piece's first value, and its number of values, at most `width`.
    width : int

    Returns
    -------
    torch.Tensor of shape (n, width)
    """
    last = len(ragged) - width  # a whole line can be read from here
    if last < 0:
        ragged = torch.nn.functional.pad(ragged, (0, -last))
        last = 0
    whole = ragged.as_strided((last + 1, width), (1, 1))
    lines = whole.index_select(0, starts.clamp(max=last))
    least = int(sizes.min()) if len(sizes) else 0
    lines[:, least:].masked_fill_(torch.arange(least, width) >= sizes[:, None], 0)
    for line in (starts > last).nonzero().flatten().tolist():  # the end of the array
        start, size = int(starts[line]), int(sizes[line])
        lines[line] = 0
        lines[line, :size] = ragged[start : start + size]
    return lines
