"""Real data that ship with the package.

`load_digits` returns 1797 handwritten digits of 8×8 pixels from E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49, licensed under CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/). The rows are those that scikit-learn distributes as
``sklearn.datasets.load_digits``: the source's test set, in its order. Changed here: the grey levels 0 to 16 are
packed into one byte each; ``pixels`` is 1 where a level is above 7. LICENSE-digits.txt beside this module repeats
this.
"""

from pgm_rbm.data.digits import Digits, DigitSet, load_digits

__all__ = ["DigitSet", "Digits", "load_digits"]
