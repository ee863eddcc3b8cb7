\* SPDX-License-Identifier: MIT OR Apache-2.0
------------------------------ MODULE RecordLog ------------------------------
(* Append-only record log in segments; torn tails, power loss, repair.         *)
(* A record is TWO cells, head <<"h",r>> and body <<"b",r>>, so a torn record  *)
(* is a head without its body, and bytes appended behind a torn head are       *)
(* misparsed exactly as on a real disk. <<"z",0>> is a zero-filled hole.       *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS MaxRec, MaxSeg, MaxPower, MaxKill, MaxFail,
  Holes,          \* TRUE: un-synced cells may come back as zeros, later ones intact
  \* ---- switches, all TRUE in the correct protocol
  TruncateTorn,   \* reopen for writing cuts the torn tail before any append
  SyncTrunc,      \* that cut is fsynced before any append
  SyncOnOpen,     \* reopen fsyncs the active segment even when it finds no torn tail
  SideSync,       \* side copy of the tail is durable before the cut
  SyncBeforeSeal, \* rotation fsyncs the old active segment first
  DirSyncOnRotate,\* rotation fsyncs the directory before the first append
  DirSyncOnOpen,  \* reopen fsyncs the directory before the first append
  StopAfterShort, \* a short/failed write stops the writer (must reopen)
  StopAfterFail,  \* a failed fsync stops the writer (must reopen)
  DropCache,      \* reopen drops the cached pages and re-reads the disk BEFORE it scans
  CutToStart,     \* after a short batch: cut to the START of the batch, not to the last whole record
  SyncCutBack,    \* ... and fsync that cut before going on
  \* ---- FALSE in the correct protocol
  RewriteOnOpen,  \* instead of DropCache: reopen copies what the cache shows to a new file
  ZeroParses      \* a run of zero bytes parses as a valid record

VARIABLES
  page,   \* sequence of segments as the running kernel shows them
  stuck,  \* cells of the active segment which a failed fsync left CLEAN in the page cache
          \* although the disk lacks them: no later fsync writes them
  disk,   \* content of each segment as of its last fsync
  ndisk,  \* segments 1..ndisk have a durable directory entry
  pc,     \* "up" "rot1" "rot2" "back" "bsync" | "down" "scan" "copy" "cut" "tsync"
  bat,    \* the short batch: <<its first cell - 1, records in hist before it>>
  hist,   \* ghost: record ids of the present lineage
  acked,  \* ghost: ids whose durability was acknowledged
  post,   \* ghost: those of them appended after at least one recovery
  torn,   \* ghost: tail found by the latest scan
  sideP, sideD, \* side files: in page cache / durable
  next, power, kill, fail

vars == <<page, disk, stuck, ndisk, pc, bat, hist, acked, post, torn, sideP, sideD, next, power, kill, fail>>

Z == <<"z", 0>>
H(r) == <<"h", r>>
B(r) == <<"b", r>>
Range(s) == {s[i] : i \in 1..Len(s)}
IsPrefix(a, b) == Len(a) <= Len(b) /\ \A i \in 1..Len(a) : a[i] = b[i]
Top == Len(page)

PairOK(a, b) == \/ a[1] = "h" /\ b = B(a[2])
                \/ ZeroParses /\ a = Z /\ b = Z
RECURSIVE VP(_, _)
VP(s, i) == IF i + 1 <= Len(s) /\ PairOK(s[i], s[i+1]) THEN VP(s, i + 2) ELSE i - 1
ValidLen(s) == VP(s, 1)                     \* cells in the longest valid prefix
Recs(s) == [j \in 1..(ValidLen(s) \div 2) |-> s[2*j][2]]
Tail_(s) == SubSeq(s, ValidLen(s) + 1, Len(s))

RECURSIVE Cat(_, _)
Cat(p, n) == IF n = 0 THEN <<>> ELSE Cat(p, n-1) \o Recs(p[n])
Recovered == Cat(page, Len(page))

(* every content a power loss may leave for one file *)
Opt(d, c, i) == (IF i <= Len(d) THEN {d[i]} ELSE {})
           \cup (IF i <= Len(c) THEN {c[i]} ELSE {})
           \cup (IF i > Len(d) /\ Holes THEN {Z} ELSE {})
RECURSIVE Build(_, _, _)
Build(d, c, n) == IF n = 0 THEN {<<>>}
                  ELSE {Append(s, x) : s \in Build(d, c, n-1), x \in Opt(d, c, n)}
Lo(d, c) == IF Len(d) < Len(c) THEN Len(d) ELSE Len(c)
Hi(d, c) == IF Len(d) < Len(c) THEN Len(c) ELSE Len(d)
Outcomes(d, c) == IF d = c THEN {c}
                  ELSE UNION {Build(d, c, n) : n \in Lo(d, c)..Hi(d, c)}
RECURSIVE Prod(_)
Prod(n) == IF n = 0 THEN {<<>>}
           ELSE {Append(p, o) : p \in Prod(n-1), o \in Outcomes(disk[n], page[n])}

(* what an fsync writes, and what a re-read shows of the active segment *)
Real(c) == [i \in 1..Len(c) |-> IF i \notin stuck THEN c[i]
                                ELSE IF i <= Len(disk[Top]) THEN disk[Top][i] ELSE Z]
NoBat == <<0, 0>>

Init == /\ page = <<<<>>>> /\ disk = <<<<>>>> /\ stuck = {} /\ ndisk = 1
        /\ bat = NoBat /\ fail = 0 /\ pc = "up" /\ hist = <<>> /\ acked = {} /\ post = {}
        /\ torn = <<>> /\ sideP = {} /\ sideD = {}
        /\ next = 1 /\ power = 0 /\ kill = 0

Whole == UNCHANGED <<stuck, bat, fail>>
Quiet == Whole /\ UNCHANGED <<torn, sideP, sideD, power, kill>>

AppendRec ==
  /\ pc = "up" /\ next <= MaxRec
  /\ page' = [page EXCEPT ![Top] = @ \o <<H(next), B(next)>>]
  /\ hist' = Append(hist, next) /\ next' = next + 1
  /\ UNCHANGED <<disk, ndisk, pc, acked, post>> /\ Quiet

AppendShort ==                      \* ENOSPC, signal, or killed in the middle
  /\ pc = "up" /\ next <= MaxRec
  /\ page' = [page EXCEPT ![Top] = Append(@, H(next))]
  /\ next' = next + 1
  /\ pc' = IF StopAfterShort THEN "down" ELSE "up"
  /\ UNCHANGED <<disk, ndisk, hist, acked, post>> /\ Quiet

(* a batch of two records is short; the kernel may write the remains back *)
BatchShort ==
  /\ pc = "up" /\ StopAfterShort /\ next + 1 <= MaxRec
  /\ \E n \in 1..3, wb \in BOOLEAN :
       LET c == page[Top] \o SubSeq(<<H(next), B(next), H(next+1)>>, 1, n) IN
       /\ page' = [page EXCEPT ![Top] = c]
       /\ disk' = IF wb /\ stuck = {} THEN [disk EXCEPT ![Top] = c] ELSE disk
       \* until the error is reported a crash may keep the first record
       /\ hist' = IF n > 1 THEN Append(hist, next) ELSE hist
  /\ bat' = <<Len(page[Top]), Len(hist)>>
  /\ next' = next + 2 /\ pc' = "back"
  /\ UNCHANGED <<stuck, fail, ndisk, acked, post, torn, sideP, sideD, power, kill>>

Known == SubSeq(hist, 1, bat[2])    \* the batch is reported as failed
CutBack ==
  /\ pc = "back"
  /\ page' = [page EXCEPT ![Top] = SubSeq(@, 1, IF CutToStart THEN bat[1] ELSE ValidLen(@))]
  /\ stuck' = stuck \cap (1..Len(page'[Top]))
  /\ IF SyncCutBack THEN pc' = "bsync" /\ UNCHANGED <<hist, bat>>
                    ELSE pc' = "up" /\ hist' = Known /\ bat' = NoBat
  /\ UNCHANGED <<fail, disk, ndisk, acked, post, torn, sideP, sideD, next, power, kill>>

BackSync ==
  /\ pc = "bsync" /\ pc' = "up" /\ hist' = Known /\ bat' = NoBat
  /\ disk' = [disk EXCEPT ![Top] = Real(page[Top])]
  /\ UNCHANGED <<fail, stuck, page, ndisk, acked, post, torn, sideP, sideD, next, power, kill>>

Ack == /\ acked' = Range(hist)
       /\ post' = IF power + kill > 0 THEN post \cup (Range(hist) \ acked) ELSE post

Fsync ==
  /\ pc = "up" /\ disk[Top] # page[Top]
  /\ disk' = [disk EXCEPT ![Top] = Real(page[Top])]
  /\ Ack
  /\ UNCHANGED <<page, ndisk, pc, hist, next>> /\ Quiet

RotSync ==
  /\ pc = "up" /\ Top < MaxSeg /\ page[Top] # <<>>
  /\ IF SyncBeforeSeal THEN disk' = [disk EXCEPT ![Top] = Real(page[Top])] /\ Ack
                       ELSE UNCHANGED <<disk, acked, post>>
  /\ pc' = "rot1"
  /\ UNCHANGED <<page, ndisk, hist, next>> /\ Quiet

RotCreate ==
  /\ pc = "rot1"
  /\ page' = Append(page, <<>>) /\ disk' = Append(disk, <<>>)
  /\ pc' = IF DirSyncOnRotate THEN "rot2" ELSE "up"
  /\ UNCHANGED <<ndisk, hist, acked, post, next>> /\ Quiet

RotDirSync ==
  /\ pc = "rot2" /\ ndisk' = Top /\ pc' = "up"
  /\ UNCHANGED <<page, disk, hist, acked, post, next>> /\ Quiet

(* before the cut the tail is not the repair's responsibility *)
NotYetCut == IF pc \in {"scan", "copy", "cut"} THEN <<>> ELSE torn

(* EIO: anything of what was pending may have reached the disk, the rest is   *)
(* marked clean; the process is poisoned                                      *)
FsyncFail ==
  /\ pc \in {"up", "bsync", "tsync"} /\ fail < MaxFail /\ disk[Top] # page[Top]
  /\ \E o \in Outcomes(disk[Top], Real(page[Top])) :
       /\ disk' = [disk EXCEPT ![Top] = o]
       /\ stuck' = {i \in 1..Len(page[Top]) : i > Len(o) \/ o[i] # page[Top][i]}
  /\ fail' = fail + 1 /\ bat' = NoBat
  /\ pc' = IF StopAfterFail THEN "down" ELSE "up"
  /\ torn' = IF StopAfterFail THEN NotYetCut ELSE torn
  /\ UNCHANGED <<page, ndisk, hist, acked, post, sideP, sideD, next, power, kill>>

(* process crash: page cache survives, nothing becomes durable *)
Kill ==
  /\ pc # "down" /\ kill < MaxKill
  /\ pc' = "down" /\ kill' = kill + 1 /\ torn' = NotYetCut /\ bat' = NoBat
  /\ UNCHANGED <<stuck, fail, page, disk, ndisk, hist, acked, post, sideP, sideD, next, power>>

PowerLoss ==
  /\ power < MaxPower
  /\ \E n \in ndisk..Top : \E p \in Prod(n) :
       page' = p /\ disk' = p /\ ndisk' = n
  /\ sideP' \in {sideP, sideD} /\ sideD' = sideP'
  /\ pc' = "down" /\ power' = power + 1 /\ torn' = NotYetCut
  /\ bat' = NoBat /\ stuck' = {}
  /\ UNCHANGED <<fail, hist, acked, post, next, kill>>

(* reopen for writing *)
Open ==
  /\ pc = "down"
  /\ ndisk' = IF DirSyncOnOpen THEN Top ELSE ndisk
  /\ pc' = "scan"
  /\ IF DropCache THEN page' = [page EXCEPT ![Top] = Real(@)] /\ stuck' = {}
                  ELSE page' = page /\ stuck' = IF RewriteOnOpen THEN {} ELSE stuck
  /\ UNCHANGED <<bat, fail, disk, hist, acked, post, next, torn, sideP, sideD, power, kill>>

Scan ==
  /\ pc = "scan"
  /\ IF Tail_(page[Top]) # <<>> /\ TruncateTorn
       THEN /\ pc' = "copy" /\ torn' = Tail_(page[Top])
            /\ UNCHANGED hist
       ELSE /\ torn' = <<>>
            /\ IF SyncOnOpen THEN pc' = "tsync" /\ UNCHANGED hist
                             ELSE pc' = "up" /\ hist' = Recovered
  /\ UNCHANGED <<page, disk, ndisk, acked, post, sideP, sideD, next, power, kill>> /\ Whole

Copy ==
  /\ pc = "copy" /\ sideP' = sideP \cup {torn}
  /\ sideD' = IF SideSync THEN sideD \cup {torn} ELSE sideD
  /\ pc' = "cut"
  /\ UNCHANGED <<page, disk, ndisk, hist, acked, post, torn, next, power, kill>> /\ Whole

Cut ==
  /\ pc = "cut"
  /\ page' = [page EXCEPT ![Top] = SubSeq(@, 1, ValidLen(@))]
  /\ IF SyncTrunc THEN pc' = "tsync" /\ UNCHANGED hist
                  ELSE pc' = "up" /\ hist' = Recovered
  /\ stuck' = stuck \cap (1..Len(page'[Top]))
  /\ UNCHANGED <<bat, fail, disk, ndisk, acked, post, next, torn, sideP, sideD, power, kill>>

CutSync ==
  /\ pc = "tsync"
  /\ disk' = [disk EXCEPT ![Top] = Real(page[Top])]
  /\ pc' = "up" /\ hist' = Recovered
  /\ UNCHANGED <<page, ndisk, acked, post, next>> /\ Quiet

Next == AppendRec \/ AppendShort \/ BatchShort \/ CutBack \/ BackSync \/ Fsync \/ FsyncFail \/ RotSync \/ RotCreate \/ RotDirSync
        \/ Kill \/ PowerLoss \/ Open \/ Scan \/ Copy \/ Cut \/ CutSync
Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
AckedSurvive      == acked \subseteq Range(Recovered)
PostRecoverySurvive == post \subseteq Range(Recovered)
RecoveredIsPrefix == IsPrefix(Recovered, hist)
NoInvention       == \A r \in Range(Recovered) : r \in 1..(next - 1)
SealedWhole       == \A i \in 1..(Top - 1) : ValidLen(page[i]) = Len(page[i])
\* nothing found in the segment is destroyed by the repair
TornKept == torn # <<>> => \/ torn \in sideP
                           \/ Tail_(page[Top]) = torn
\* appends only ever start at a record boundary
CleanWhenUp == (pc = "up" /\ StopAfterShort /\ TruncateTorn) => Tail_(page[Top]) = <<>>
\* vacuity check, must be violated: a record acked after a power loss AND a kill
ReachPost == ~(power = MaxPower /\ kill = MaxKill /\ post # {} /\ Top = MaxSeg /\ sideD # {})
\* vacuity: a batch cut back and a failed fsync, then a record acked and a power loss
ReachFail == ~(fail = MaxFail /\ power > 0 /\ pc = "up" /\ acked # {} /\ Top = MaxSeg
               /\ \E r \in 1..(next-2) : {r, r+1} \cap Range(hist) = {})
=============================================================================
