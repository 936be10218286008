"""Mistakes in what `pefc combine` is given: its options, and adapters that do not fit together."""

from dataclasses import dataclass

from .report import Diagnostic, Label
from .suggestions import listing, suggestion


@dataclass(frozen=True, slots=True)
class UnknownWay(Diagnostic):
    """Adapters are to be combined in a way that there is not.

        pefc combine a/ b/ -o out/ --how tie

    `linear` is the weighted sum of the tensors; `cat` and `svd` are that of the changes of low-rank
    methods, exactly or in a given rank; `ties`, `dare` and `magnitude` leave numbers out first.
    """

    found: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"adapters are not combined by `{self.found}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"the ways are {listing(self.known)}"),)

    def help(self) -> str | None:
        return suggestion(self.found, self.known)


@dataclass(frozen=True, slots=True)
class FewAdapters(Diagnostic):
    """One adapter alone is to be combined.

        pefc combine a/ -o out/ --how linear

    Give the folders of two or more.
    """

    count: int

    def title(self) -> str:
        return "there is nothing to combine"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "one folder is given" if self.count else "no folder is given"),)

    def help(self) -> str:
        return "give the folders of two or more adapters"


@dataclass(frozen=True, slots=True)
class WeightCount(Diagnostic):
    """There are more weights than adapters, or fewer.

        pefc combine a/ b/ -o out/ --how linear --weights 0.7

    Each adapter has one weight, in the order of the folders.
    """

    weights: int
    folders: int

    def title(self) -> str:
        return f"the weights are {self.weights}, the adapters {self.folders}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "each adapter has one weight"),)

    def help(self) -> str:
        return "give as many weights as folders, in their order: `--weights 0.7,0.3`"


@dataclass(frozen=True, slots=True)
class UnfitWeight(Diagnostic):
    """The weight of an adapter is no finite number.

        pefc combine a/ b/ -o out/ --how linear --weights 0.7,x

    Weights may be negative, which takes the change of an adapter away.
    """

    found: str

    def title(self) -> str:
        return f"`{self.found}` is no weight"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "a weight is a finite number"),)

    def help(self) -> str:
        return "give numbers with commas between them: `--weights 0.7,0.3`"


@dataclass(frozen=True, slots=True)
class UnfitDensity(Diagnostic):
    """The share of numbers that stay is missing, or not above 0 and at most 1.

        pefc combine a/ b/ -o out/ --how ties --density 20

    `ties` and `magnitude` keep the largest numbers of each tensor, `dare` random ones; the density
    says how many. With 1 all of them stay.
    """

    way: str
    found: float | None

    def title(self) -> str:
        if self.found is None:
            return f"`{self.way}` needs a density"
        return f"the density is {self.found:g}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "it is the share of numbers that stay, above 0 and at most 1"),)

    def help(self) -> str:
        return "give it: `--density 0.2` keeps a fifth"


@dataclass(frozen=True, slots=True)
class UnfitRank(Diagnostic):
    """The rank of the result is less than 1.

        pefc combine a/ b/ -o out/ --how svd --rank 0

    Without a rank, the result of `svd` has the largest one of its adapters.
    """

    found: int

    def title(self) -> str:
        return f"the rank is {self.found}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "a rank is at least 1"),)

    def help(self) -> str:
        return "leave `--rank` out for the largest rank of the adapters"


@dataclass(frozen=True, slots=True)
class UnfitSeed(Diagnostic):
    """The seed of `dare` is a number that no generator takes.

        pefc combine a/ b/ -o out/ --how dare --density 0.2 --seed -1

    One seed leaves out the same numbers each time; without one it is 0.
    """

    found: int

    def title(self) -> str:
        return f"the seed is {self.found}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "a seed is at least 0, and less than 2 ** 63"),)

    def help(self) -> str:
        return "leave `--seed` out for the seed 0"


@dataclass(frozen=True, slots=True)
class UnusedOption(Diagnostic):
    """An option is given that the way of combining does not use.

        pefc combine a/ b/ -o out/ --how linear --density 0.2

    The density is for `ties`, `dare` and `magnitude`, the seed for `dare`, the rank for `svd`.
    """

    option: str
    way: str
    users: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.way}` has no {self.option}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"the {self.option} is for {listing(self.users)}"),)

    def help(self) -> str:
        return f"leave the {self.option} out, or combine in another way"


@dataclass(frozen=True, slots=True)
class ManyTasks(Diagnostic):
    """A folder with several tasks, or with a fusion of them, is to be combined with others.

        task movies { lora on attn.q }
        task tweets { lora on attn.q }

    Each folder stands for one adapter: everything in it belongs to no task, or to one. Save one
    task alone, with `pefc.save(model, folder, task="movies")`.
    """

    folder: str
    found: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.folder}` holds more than one adapter"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"its statements belong to {', '.join(self.found)}"),)

    def help(self) -> str:
        return "save one task alone with `pefc.save(model, folder, task=NAME)`"


@dataclass(frozen=True, slots=True)
class UnlikeBase(Diagnostic):
    """Adapters of different base models are to be combined.

        pefc combine of_one_base/ of_another/ -o out/ --how linear

    The shapes, and a few values of each weight, stand in `plan.json` as they were when each adapter
    was saved. Changes of different weights have no sum.
    """

    first: str
    folder: str
    differences: tuple[tuple[str, str], ...]

    def title(self) -> str:
        return f"`{self.folder}` was made for another base than `{self.first}`"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` {what}") for name, what in self.differences[:5])

    def notes(self) -> tuple[str, ...]:
        more = len(self.differences) - 5
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "combine adapters of one base"


@dataclass(frozen=True, slots=True)
class UnlikeForm(Diagnostic):
    """Adapters with other methods, sites, arguments or shapes are to be combined.

        lora(r=8) on attn.q     # a/
        lora(r=8) on attn.v     # b/

    Their statements are to have the same methods with the same arguments at the same sites. Where
    the change of a method is a product of two matrices, its scale may differ, and for `cat` and
    `svd` its rank too. What is frozen is to have the same values.
    """

    first: str
    folder: str
    differences: tuple[str, ...]
    other_ranks: bool = False

    def title(self) -> str:
        return f"`{self.folder}` has another form than `{self.first}`"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, what) for what in self.differences[:5])

    def notes(self) -> tuple[str, ...]:
        more = len(self.differences) - 5
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        if self.other_ranks:
            return "combine other ranks with `--how cat` or `--how svd`"
        return "combine adapters that were trained from one spec"


@dataclass(frozen=True, slots=True)
class NotLowRank(Diagnostic):
    """`cat` and `svd` are for methods whose change is a product of two matrices.

        pefc combine a/ b/ -o out/ --how cat     # of `ia3 on attn.k`

    Such a method has the rule `weight += s * B @ A` with B: [out, r] and A: [r, in], where r is a
    parameter, and no tensors beside them. Others are combined tensor by tensor.
    """

    way: str
    folder: str
    label: str
    reason: str

    def title(self) -> str:
        return f"`{self.way}` cannot combine `{self.label}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"in `{self.folder}`, {self.reason}"),)

    def help(self) -> str:
        return "combine tensor by tensor: `--how linear`"


@dataclass(frozen=True, slots=True)
class WholeParameters(Diagnostic):
    """Parameters of the model itself are to be combined as if they were changes.

        pefc combine a/ b/ -o out/ --how ties --density 0.2     # of `tune on norm`

    What `tune` trains is saved whole, with the value of the base in it. Only a mean of such values
    makes sense: `linear`, with weights whose sum is 1.
    """

    folder: str
    names: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.folder}` holds parameters of the model itself"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` is saved whole") for name in self.names[:3])

    def notes(self) -> tuple[str, ...]:
        more = len(self.names) - 3
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "take their mean: `--how linear`, with weights whose sum is 1"
