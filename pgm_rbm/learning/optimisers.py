"""`pgm_rbm.learning.updates` under its former name."""

from pgm_rbm.learning.updates import SGD as SGD
from pgm_rbm.learning.updates import Adam as Adam
from pgm_rbm.learning.updates import NaturalGradient as NaturalGradient
