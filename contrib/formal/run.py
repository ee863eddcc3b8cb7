#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks the models in this directory with TLC, each configuration in cfg/ by itself.

usage: contrib/formal/run.py gen | all | NAME...

gen writes the configurations anew, from the tables below. NAME is one of them, a model, or a
beginning with a * behind it. A configuration headed "EXPECT X violated" is right when TLC finds X
violated: a rule is broken there, or (Reach) the end that is looked for is reached. All others must
hold. Needs java, and tla2tools.jar in TLA2TOOLS. What TLC says goes to out/, which git ignores."""
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CFG, OUT = HERE / "cfg", HERE / "out"
T, F = "TRUE", "FALSE"
MODELS = {
 "RecordLog": dict(
  base=dict(MaxRec=3, MaxSeg=2, MaxPower=2, MaxKill=1, MaxFail=1, Holes=T, TruncateTorn=T, SyncTrunc=T,
            SideSync=T, SyncOnOpen=T, SyncBeforeSeal=T, DirSyncOnRotate=T, DirSyncOnOpen=T,
            StopAfterShort=T, StopAfterFail=T, DropCache=T, CutToStart=T, SyncCutBack=T, RewriteOnOpen=F, ZeroParses=F),
  inv=["AckedSurvive","PostRecoverySurvive","RecoveredIsPrefix","NoInvention","SealedWhole","TornKept","CleanWhenUp"],
  bad=[("NoTruncate", dict(TruncateTorn=F), "PostRecoverySurvive"),
       ("NoSyncTrunc", dict(SyncTrunc=F), "RecoveredIsPrefix"),
       ("NoSyncOnOpen", dict(SyncOnOpen=F), "RecoveredIsPrefix"),
       ("NoSideSync", dict(SideSync=F), "TornKept"),
       ("NoSealSync", dict(SyncBeforeSeal=F), "SealedWhole"),
       ("NoDirSyncOnRotate", dict(DirSyncOnRotate=F), "AckedSurvive"),
       ("NoDirSyncOnOpen", dict(DirSyncOnOpen=F), "AckedSurvive"),
       ("GoOnAfterShort", dict(StopAfterShort=F), "AckedSurvive"),
       ("ZeroParses", dict(ZeroParses=T), "NoInvention"),
       ("GoOnAfterFail", dict(StopAfterFail=F), "AckedSurvive"),
       ("ScanTheCache", dict(DropCache=F), "AckedSurvive"),
       ("CutToRecord", dict(CutToStart=F), "RecoveredIsPrefix"),
       ("CutBackNoSync", dict(SyncCutBack=F), "RecoveredIsPrefix"),
       ("Reach", {}, "ReachPost"),
       ("ReachFail", {}, "ReachFail")]),
 "KeydirProjection": dict(
  base=dict(Keys="{a, b}", MaxRec=5, MaxSeg=3, MaxCrash=1, MaxGen=5, DelDropsIndex=T, RebuildAscends=T,
            RebuildSeesDel=T, RelocateAtomic=T, IndexAfterAppend=T),
  inv=["GetEqualsFold","IndexEqualsRebuilt","IndexPointsAtPut"],
  bad=[("DelKeepsIndex", dict(DelDropsIndex=F), "GetEqualsFold"),
       ("RebuildOrder", dict(RebuildAscends=F), "IndexEqualsRebuilt"),
       ("RebuildNoDel", dict(RebuildSeesDel=F), "IndexEqualsRebuilt"),
       ("StaleOffset", dict(RelocateAtomic=F), "GetEqualsFold"),
       ("IndexFirst", dict(IndexAfterAppend=F), "GetEqualsFold"),
       ("Reach", {}, "ReachReuse")]),
 "CompactTo": dict(
  base=dict(Keys="{a, b, c}", MaxRec=3, Cap=2, MaxPower=2, TempName=T, FileSync=T, TargetDirSync=T,
            ParentSync=T, SkipDead=T),
  inv=["SourceUntouched","FinalIsComplete","Minimal","DoneIsDurable"],
  bad=[("NoTempName", dict(TempName=F), "FinalIsComplete"),
       ("NoFileSync", dict(FileSync=F), "FinalIsComplete"),
       ("NoTargetDirSync", dict(TargetDirSync=F), "FinalIsComplete"),
       ("NoParentSync", dict(ParentSync=F), "DoneIsDurable"),
       ("CopiesTombstones", dict(SkipDead=F), "Minimal"),
       ("Reach", {}, "ReachDone")]),
 "InPlaceCompaction": dict(
  base=dict(Keys="{a}", MaxRec=4, MaxSeg=3, MaxPower=1, MaxKill=1, Kinds='{"p", "d", "a"}', Unlink=T, NeedDurable=T,
            CheckLower=T, CheckSame=T, DirSyncBetween=T, DirSyncOnOpen=T, TmpSync=T, AttrDrops=T, DelNeedsDel=T,
            SeeAttr=T, AttrNotPut=T, KeepHighest=T, SyncLate=F, RotateBeside=F, TrustOpen=F, ResumeTmp=F, LowestOnly=F),
  inv=["ProjectionKept","NoResurrection","NoLoss","AckedKept","BeliefSound","AttrsKept","AttrsExact","MaxIdKept"],
  bad=[("NonDurableLater", dict(NeedDurable=F), "NoLoss"),
       ("NonDurableTomb", dict(NeedDurable=F), "NoResurrection"),
       ("DropTomb", dict(CheckLower=F), "NoResurrection"),
       ("DropTombSame", dict(CheckSame=F), "NoResurrection"),
       ("LowestOnly", dict(LowestOnly=T, MaxSeg=4, MaxPower=0, MaxKill=0), "NoResurrection"),
       ("NoDirSyncBetween", dict(DirSyncBetween=F), "NoResurrection"),
       ("NoDirSyncOnOpen", dict(DirSyncOnOpen=F), "NoResurrection"),
       ("NoTmpSync", dict(TmpSync=F), "NoLoss"),
       ("TrustOpen", dict(TrustOpen=T), "NoLoss"),
       ("ResumeTmp", dict(ResumeTmp=T), "NoLoss"),
       ("RawOldRule", dict(AttrDrops=F, DelNeedsDel=F, SeeAttr=F), "AttrsKept"),
       ("DelByPut", dict(DelNeedsDel=F), "AttrsKept"),
       ("BlindB", dict(SeeAttr=F), "AttrsKept"),
       ("AttrOverPut", dict(AttrNotPut=F), "NoLoss"),
       ("DropHighest", dict(KeepHighest=F), "MaxIdKept"),
       ("Reach", {}, "ReachClean"),
       ("ReachAttr", {}, "ReachAttr")]),
 "ReadWhileWrite": dict(
  base=dict(Keys="{a}", MaxRec=3, MaxSeg=3, MaxIno=5, Unlink='"never"', AtomicList=F, Recheck=T, CheckNew=T,
            CheckIdent=T, HoldFds=T, LooseEmpty=F),
  inv=["DiskView","Linearizable","SomePrefix","NoResurrection"],
  bad=[("Lazy", dict(Recheck=F), "NoResurrection"),
       ("UnlinkAny", dict(Unlink='"any"', MaxRec=4, MaxIno=4), "Linearizable"),
       ("UnlinkBottom", dict(_constraint="PutsOnly", Unlink='"bottom"', Keys="{a, b}", MaxRec=4, MaxSeg=4, MaxIno=4), "Linearizable"),
       ("UnlinkEmpty", dict(Unlink='"empty"'), "Linearizable"),
       ("UnlinkEmptyLoose", dict(Unlink='"empty"', LooseEmpty=T), "Linearizable"),
       ("UnlinkEmptyLow", dict(_constraint="PutsOnly", Unlink='"emptylow"', Keys="{a, b}", MaxRec=4, MaxSeg=4, MaxIno=6), "Linearizable"),
       ("IgnoreNewNames", dict(CheckNew=F), "Linearizable"),
       ("IgnoreIdentity", dict(CheckIdent=F), "Linearizable"),
       ("ReadByName", dict(HoldFds=F), "NoResurrection"),
       ("Reach", {}, "ReachDone")]),
 "Rename": dict(
  base=dict(Names="{a, b, c}", MaxRec=4, MaxPower=1, MaxKill=1, PutFirst=T, SelfIsNoop=T, FixTorn=T),
  inv=["NeverBothMissing","ValuesOldOrNew","OthersUntouched","DurableReadable"],
  bad=[("DelFirst", dict(PutFirst=F), "NeverBothMissing"),
       ("SelfRename", dict(SelfIsNoop=F), "NeverBothMissing"),
       ("KeepTorn", dict(FixTorn=F), "DurableReadable"),
       ("NotAtomic", {}, "FullyAtomic")]),
 "DirRename": dict(
  base=dict(N=3, MaxTry=2, MaxPower=2, MaxKill=1, Order='"puts"', SealSync=T, TargetEmpty=T, UndoEarly=T, UndoFresh=T),
  inv=["NeverBothMissing","NotSplit","UndoneClean"],
  bad=[("DelsFirst", dict(Order='"dels"'), "NeverBothMissing"),
       ("InterleavedSplits", dict(Order='"inter"'), "NotSplit"),
       ("NoSealSync", dict(SealSync=F), "NeverBothMissing"),
       ("UndoLate", dict(UndoEarly=F), "NeverBothMissing"),
       ("UndoRetry", dict(UndoFresh=F), "NeverBothMissing"),
       ("TargetInUse", dict(TargetEmpty=F), "ForeignKept"),
       ("Reach", {}, "ReachMoved")]),
 "BatchLog": dict(
  base=dict(MaxRec=4, MaxSeg=2, MaxPower=1, MaxKill=1, MaxForeign=1, MaxComp=0, MaxLose=0, N=2, Gap=0, Holes=T,
            WriterRule=T, ReaderRule=T, CrcList=T, CutHeader=T, SyncTrunc=T, SyncOnOpen=T, SyncCutBack=T, SideSync=T,
            SideHeader=T, DropHeaders=T, ZeroHeaders=F, ForeignWaits=T, JudgeSealed=F),
  inv=["Atomic","AckedSurvive","RecoveredIsPrefix","NoInvention","ReaderWhole","EndAgreed","ReaderNext","SealedWhole",
       "TornKept","CleanWhenUp"],
  bad=[("NoRule", dict(WriterRule=F, ReaderRule=F), "Atomic"),
       ("ReaderNoRule", dict(ReaderRule=F), "ReaderWhole"),
       ("CountOnly", dict(CrcList=F), "AckedSurvive"),
       ("DenseTxids", dict(Gap=1), "AckedSurvive"),
       ("JudgeSealed", dict(JudgeSealed=T), "AckedSurvive"),
       ("IgnoreOnly", dict(CutHeader=F), "Atomic"),
       ("NoSyncTrunc", dict(SyncTrunc=F), "Atomic"),
       ("NoSyncOnOpen", dict(SyncOnOpen=F), "Atomic"),
       ("CutBackNoSync", dict(SyncCutBack=F), "Atomic"),
       ("NoSideSync", dict(SideSync=F), "TornKept"),
       ("SideTail", dict(SideHeader=F), "TornKept"),
       ("KeepHeaders", dict(DropHeaders=F, MaxComp=1, MaxLose=1, MaxForeign=0), "AckedSurvive"),
       ("ForeignInCut", dict(ForeignWaits=F), "Atomic"),
       ("Reach", dict(MaxRec=5), "ReachVoid"),
       ("ReachCut", {}, "ReachCut")]),
 "History": dict(
  base=dict(Keys="{a}", MaxRec=5, MaxSeg=3, MaxPower=1, MaxKill=0, Kinds='{"p", "d"}', Unlink=F, NeedDurable=T,
            CheckLower=T, CheckSame=T, DirSyncBetween=T, DirSyncOnOpen=T, TmpSync=T, AttrDrops=T, DelNeedsDel=T,
            SeeAttr=T, AttrNotPut=T, KeepHighest=T, SyncLate=F, RotateBeside=F, TrustOpen=F, ResumeTmp=F, LowestOnly=F,
            MaxUser=3, Place='"active"', Interval=F, Suffix=F, HzFirst=T, HzSuper=T, HzLast=T, HzMerge=T, HzSame=T),
  inv=["AtIsRightOrRefused","NowAnswered","ProjectionKept","NoResurrection","NoLoss","AckedKept","BeliefSound",
       "AttrsKept","AttrsExact","MaxIdKept"],
  bad=[("NotFirst", dict(HzFirst=F), "AtIsRightOrRefused"),
       ("OfDropped", dict(HzSuper=F), "AtIsRightOrRefused"),
       ("OfDroppedFile", dict(HzSuper=F, Interval=T, Place='"file"'), "AtIsRightOrRefused"),
       ("OldKept", dict(HzLast=F, MaxPower=0, MaxUser=4, MaxRec=6), "AtIsRightOrRefused"),
       ("NoMerge", dict(HzMerge=F, Interval=T, MaxPower=0, MaxUser=4, MaxRec=6), "AtIsRightOrRefused"),
       ("NoMergeFile", dict(HzMerge=F, Interval=T, Place='"file"'), "AtIsRightOrRefused"),
       ("ReaderEarly", dict(HzSame=F), "AtEarly"),
       ("NoSuffix", {}, "KeyFine"),
       ("Reach", {}, "ReachHz"),
       ("ReachFile", dict(Interval=T, Place='"file"'), "ReachHz"),
       ("ReachLow", dict(Interval=T, Place='"file"'), "ReachLow")]),
 "ReadHistory": dict(
  base=dict(Keys="{a}", MaxRec=3, MaxSeg=3, MaxIno=5, Unlink='"never"', AtomicList=F, Recheck=T, CheckNew=T,
            CheckIdent=T, HoldFds=T, LooseEmpty=F, MaxHz=1, Place='"active"', HzSame=T),
  inv=["AtReader","DiskView","Linearizable","SomePrefix","NoResurrection"],
  bad=[("Early", dict(HzSame=F), "AtReader"),
       ("EarlyFile", dict(HzSame=F, Place='"file"', MaxHz=0), "AtReader"),
       ("Reach", {}, "ReachAt"),
       ("ReachFile", dict(Place='"file"', MaxHz=0), "ReachAt")]),
}

# Larger bounds and variants that must hold. _inv: other invariants than the model's.
LARGER = [
 ("RecordLog", "RewriteOnOpen", dict(DropCache=F, RewriteOnOpen=T)),
 ("InPlaceCompaction", "FourSegs", dict(MaxSeg=4, MaxPower=2, MaxKill=0, Kinds='{"p", "d"}')),
 ("InPlaceCompaction", "TwoKeys", dict(Keys="{a, b}", MaxKill=0, Kinds='{"p", "d"}')),
 ("InPlaceCompaction", "TwoKeysAttr", dict(Keys="{a, b}", MaxPower=1, MaxKill=0)),
 ("InPlaceCompaction", "KeepRaw", dict(AttrDrops=F, MaxKill=0)),
 ("InPlaceCompaction", "EmptyFiles", dict(Unlink=F)),
 ("InPlaceCompaction", "AsCode", dict(Unlink=F, SyncLate=T, RotateBeside=T)),
 ("InPlaceCompaction", "AsCodeTwoKeys", dict(Unlink=F, SyncLate=T, RotateBeside=T, Keys="{a, b}", MaxKill=0)),
 ("DirRename", "Interleaved", dict(Order='"inter"', _inv=["NeverBothMissing"])),
 ("ReadWhileWrite", "TwoKeys", dict(Keys="{a, b}", MaxIno=4)),
 ("ReadWhileWrite", "Long", dict(MaxRec=4)),
 ("ReadWhileWrite", "Floor", dict(Unlink='"floor"')),
 ("ReadWhileWrite", "AtomicList", dict(Unlink='"any"', AtomicList=T, MaxRec=4, MaxIno=4)),
 ("BatchLog", "StepTwo", dict(Gap=2)),
 ("BatchLog", "Three", dict(N=3, MaxRec=5, Holes=F)),
 ("BatchLog", "TwoBatches", dict(MaxRec=6, MaxSeg=1, MaxPower=2, MaxForeign=0, Holes=F)),
 ("BatchLog", "Compact", dict(MaxComp=1, MaxLose=1, Holes=F)),
 ("BatchLog", "AsCode", dict(MaxComp=1, MaxLose=1, Holes=F, ZeroHeaders=T)),
 ("History", "Attr", dict(Kinds='{"p", "d", "a"}', MaxKill=1)),
 ("History", "Four", dict(MaxUser=4, MaxRec=6)),
 ("History", "File", dict(Place='"file"', Interval=T, MaxUser=4, MaxRec=4, Kinds='{"p", "d", "a"}')),
 ("History", "AsCode", dict(Place='"file"', Interval=T, SyncLate=T, RotateBeside=T, MaxUser=4, MaxRec=4, Kinds='{"p", "d", "a"}')),
 ("History", "FileTwoKeys", dict(Place='"file"', Interval=T, MaxUser=4, MaxRec=4, Keys="{a, b}")),
 ("History", "FileSuffix", dict(Place='"file"', Interval=T, MaxUser=4, MaxRec=4, Kinds='{"p", "d", "a"}', Suffix=T,
                                _inv=MODELS["History"]["inv"] + ["KeyFine"])),
 ("ReadHistory", "File", dict(Place='"file"', MaxHz=0))
]


def configurations():
    """Name, model, constants, invariants, and which of them must be violated."""
    for model, table in MODELS.items():
        yield model, model, table["base"], table["inv"], None
        for name, changed, expected in table["bad"]:
            yield f"Bad{model}_{name}", model, table["base"] | changed, [expected], expected
    for model, name, changed in LARGER:
        constants = MODELS[model]["base"] | changed
        invariants = constants.pop("_inv", MODELS[model]["inv"])
        yield f"{model}_{name}", model, constants, invariants, None


def text_of(model, constants, invariants, expected):
    """A configuration as TLC reads it."""
    constants = dict(constants)
    constraint = constants.pop("_constraint", None)
    sets = str(constants.get("Keys", "")) + str(constants.get("Names", ""))
    lines = ["\\* SPDX-License-Identifier: MIT OR Apache-2.0"]
    if expected:
        lines.append(f"\\* EXPECT {expected} violated")
    prefix = "H" if model in ("History", "ReadHistory") else ""
    lines += [f"SPECIFICATION {prefix}Spec", "CHECK_DEADLOCK FALSE", "CONSTANTS"]
    lines += [f"  {name} = {value}" for name, value in constants.items()]
    lines += [f"  {name} = {name}" for name in sorted(set(re.findall(r"[abc]\b", sets)))]
    if model in ("InPlaceCompaction", "History"):
        lines.append("SYMMETRY Sym")
    if constraint:
        lines.append(f"CONSTRAINT {constraint}")
    lines += ["INVARIANTS"] + [f"  {name}" for name in invariants]
    return "\n".join(lines) + "\n"


def generate(directory):
    for name, *rest in configurations():
        (directory / f"{name}.cfg").write_text(text_of(*rest))


def tlc(name, model):
    """What TLC says of a configuration."""
    with tempfile.TemporaryDirectory(prefix="tlc-") as states:
        done = subprocess.run(
            ["java", "-Xmx3g", "-XX:+UseParallelGC", "-cp", os.environ["TLA2TOOLS"], "tlc2.TLC",
             "-workers", "1", "-metadir", states, "-noGenerateSpecTE", "-cleanup",
             "-config", f"cfg/{name}.cfg", model],
            cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.out").write_text(done.stdout)
    return done.stdout


def check(name, model, expected):
    """One line of the report; whether it is as it must be."""
    started = time.monotonic()
    said = tlc(name, model)
    seconds = time.monotonic() - started
    states = re.findall(r"([\d,]+) distinct states found", said)
    depth = re.search(r"depth of the complete state graph search is (\d+)", said)
    violated = re.search(r"Invariant (\w+) is violated", said)
    trace = len(re.findall(r"^State \d+:", said, re.M))
    right = bool(violated) and violated[1] == expected if expected else \
        "No error has been found" in said
    print(f"{'ok' if right else 'FAIL':4} {name:38} distinct={states[-1] if states else '?':9} "
          f"depth={depth[1] if depth else '-':4} trace={str(trace or '-'):3} "
          f"viol={violated[1] if violated else '-'} {seconds:.1f}s", flush=True)
    return right


def is_chosen(name, model, words):
    return any(word in ("all", name, model) or (word.endswith("*") and name.startswith(word[:-1]))
               for word in words)


def main(words):
    if not words or "-h" in words or "--help" in words:
        sys.exit(__doc__)
    CFG.mkdir(exist_ok=True)
    generate(CFG)
    if words == ["gen"]:
        return 0
    if "TLA2TOOLS" not in os.environ:
        sys.exit("run.py: TLA2TOOLS must name tla2tools.jar")
    chosen = [(name, model, expected) for name, model, _, _, expected in configurations()
              if is_chosen(name, model, words)]
    if not chosen:
        sys.exit("run.py: there is no such configuration")
    return 0 if all([check(*one) for one in chosen]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
