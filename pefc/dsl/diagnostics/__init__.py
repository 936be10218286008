"""What a diagnostic is, and those of the checker, each loaded when the first one of its kind is
needed.

A spec without mistakes needs none of them, and starting is quicker without.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .report import Diagnostic as Diagnostic
from .report import Fix as Fix
from .report import Label as Label
from .report import SpecError as SpecError
from .report import SpecWarning as SpecWarning

if TYPE_CHECKING:
    from .arguments import FixedArgument as FixedArgument
    from .arguments import MissingArgument as MissingArgument
    from .arguments import NotPositive as NotPositive
    from .arguments import NotProbability as NotProbability
    from .arguments import PositionalAfterKeyword as PositionalAfterKeyword
    from .arguments import RepeatedArgument as RepeatedArgument
    from .arguments import TooManyArguments as TooManyArguments
    from .arguments import UnknownArgument as UnknownArgument
    from .arguments import UnknownMember as UnknownMember
    from .arguments import WrongType as WrongType
    from .blocks import DuplicateTask as DuplicateTask
    from .blocks import EmptyBlock as EmptyBlock
    from .blocks import FewMembers as FewMembers
    from .blocks import NeedsBlock as NeedsBlock
    from .blocks import NestedDefinition as NestedDefinition
    from .blocks import NestedTask as NestedTask
    from .blocks import NotACount as NotACount
    from .blocks import NothingToModify as NothingToModify
    from .blocks import NotModifier as NotModifier
    from .blocks import TooManySteps as TooManySteps
    from .blocks import UnknownTask as UnknownTask
    from .config import BadConfig as BadConfig
    from .config import DuplicateKey as DuplicateKey
    from .config import LooseText as LooseText
    from .config import MissingFile as MissingFile
    from .config import MissingKey as MissingKey
    from .config import NotAConfig as NotAConfig
    from .config import NotAPart as NotAPart
    from .config import NotASpec as NotASpec
    from .config import NotUtf8 as NotUtf8
    from .config import TooLargeFile as TooLargeFile
    from .config import UnknownKey as UnknownKey
    from .config import UnreadableFile as UnreadableFile
    from .declarations import Rebound as Rebound
    from .declarations import UnfitDistribution as UnfitDistribution
    from .declarations import UnknownDistribution as UnknownDistribution
    from .declarations import UnusedTensor as UnusedTensor
    from .declarations import UnusedValue as UnusedValue
    from .declarations import WrongShape as WrongShape
    from .formulas import IllegalOver as IllegalOver
    from .formulas import MisplacedDistribution as MisplacedDistribution
    from .formulas import MisplacedMethod as MisplacedMethod
    from .formulas import MisplacedPositions as MisplacedPositions
    from .formulas import NotCallable as NotCallable
    from .formulas import NotValue as NotValue
    from .formulas import TooLate as TooLate
    from .formulas import UnknownAttribute as UnknownAttribute
    from .formulas import WrongUnpacking as WrongUnpacking
    from .fusion import FusionInTask as FusionInTask
    from .fusion import RepeatedMember as RepeatedMember
    from .fusion import TakenByFusion as TakenByFusion
    from .imports import CircularImport as CircularImport
    from .imports import ImportOutside as ImportOutside
    from .imports import MissingImport as MissingImport
    from .imports import StatementInImport as StatementInImport
    from .imports import UnreadableImport as UnreadableImport
    from .methods import DuplicateParameter as DuplicateParameter
    from .methods import IllegalShift as IllegalShift
    from .methods import IllegalTarget as IllegalTarget
    from .methods import NoEffect as NoEffect
    from .methods import StringMember as StringMember
    from .methods import UnknownPolicy as UnknownPolicy
    from .methods import UnknownSite as UnknownSite
    from .methods import UnknownType as UnknownType
    from .methods import UnusedParameter as UnusedParameter
    from .names import AliasOfRecipe as AliasOfRecipe
    from .names import CircularDefinition as CircularDefinition
    from .names import DuplicateDefinition as DuplicateDefinition
    from .names import ReservedName as ReservedName
    from .names import UnknownMethod as UnknownMethod
    from .names import UnknownName as UnknownName
    from .names import UnknownOverride as UnknownOverride
    from .names import UnusedConstant as UnusedConstant
    from .names import UsedBeforeDefinition as UsedBeforeDefinition
    from .names import WrongOverride as WrongOverride
    from .quantize_statement import InnerQuantize as InnerQuantize
    from .settings import DtypeOfBase as DtypeOfBase
    from .settings import DtypeOfTensor as DtypeOfTensor
    from .settings import NegativeSetting as NegativeSetting
    from .settings import RepeatedSetting as RepeatedSetting
    from .settings import UnknownSetting as UnknownSetting
    from .settings import UnknownTensor as UnknownTensor
    from .statements import DuplicateLabel as DuplicateLabel
    from .statements import MissingTarget as MissingTarget
    from .statements import NestedGate as NestedGate
    from .statements import NestedTooDeep as NestedTooDeep
    from .statements import NotCondition as NotCondition
    from .statements import NotModified as NotModified
    from .statements import UnknownFact as UnknownFact
    from .statements import UnwantedClause as UnwantedClause
    from .statements import UnwantedTarget as UnwantedTarget
    from .syntax import FractionalLayer as FractionalLayer
    from .syntax import MissingSelector as MissingSelector
    from .syntax import NotAModule as NotAModule
    from .syntax import NoWholeNumber as NoWholeNumber
    from .syntax import RepeatedClause as RepeatedClause
    from .syntax import TooManyMistakes as TooManyMistakes
    from .syntax import UnclosedBracket as UnclosedBracket
    from .syntax import UnclosedString as UnclosedString
    from .syntax import UnevenNames as UnevenNames
    from .syntax import UnexpectedText as UnexpectedText
    from .syntax import UnknownCharacter as UnknownCharacter
    from .syntax import UnknownEscape as UnknownEscape
    from .syntax import UnmatchedBracket as UnmatchedBracket
    from .values import DivisionByZero as DivisionByZero
    from .values import EmptyRange as EmptyRange
    from .values import NotConstant as NotConstant
    from .values import NumberTooLarge as NumberTooLarge
    from .values import UndefinedResult as UndefinedResult
    from .values import UnknownFunction as UnknownFunction
    from .values import UnknownKeyword as UnknownKeyword
    from .values import WrongArity as WrongArity
    from .values import WrongOperand as WrongOperand

_MODULES = (
    "arguments",
    "blocks",
    "config",
    "declarations",
    "formulas",
    "fusion",
    "imports",
    "methods",
    "names",
    "quantize_statement",
    "settings",
    "statements",
    "syntax",
    "values",
)


def __getattr__(name: str) -> object:
    for module in _MODULES:
        found = getattr(import_module(f".{module}", __name__), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(name)
