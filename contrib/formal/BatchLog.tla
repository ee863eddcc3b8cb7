\* SPDX-License-Identifier: MIT OR Apache-2.0
------------------------------- MODULE BatchLog -------------------------------
(* RecordLog with atomic batches: header + N records in one write. A frame is   *)
(* <<kind, txid, v>>: "s" our single, "f" a foreign writer's, "H" header, "m"   *)
(* member, "o" a header that announces nothing any more; v is unique per write, *)
(* so equal frames are equal bytes (equal CRC).                                 *)
(* Two cells per frame: <<"h">> \o frame, <<"b">> \o frame.                     *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS MaxRec, MaxSeg, MaxPower, MaxKill, MaxForeign, MaxComp, MaxLose,
  N,              \* records of a batch
  Gap,            \* txid step inside a batch: 0 (one txid per operation) or 2 are correct, 1 is not
  Holes,          \* un-synced cells may come back as zeros, later ones intact
  \* ---- switches, all TRUE in the correct protocol
  WriterRule,     \* opening for writing ends the log before a partial batch
  ReaderRule,     \* so do lock-free readers
  CrcList,        \* the header announces WHICH frames follow, not only how many
  CutHeader,      \* a partial batch is really cut, not only ignored
  SyncTrunc,      \* the cut (torn tail or partial batch) is fsynced before any append
  SyncOnOpen,     \* opening fsyncs also when nothing was cut
  SyncCutBack,    \* the cut-back of a short write is fsynced before the next append
  SideSync,       \* side copy durable before the cut
  SideHeader,     \* the side copy begins at the header, not at the first invalid byte
  DropHeaders,    \* in-place compaction drops the headers of what it rewrites
  ZeroHeaders,    \* ... or keeps them as records that announce nothing (n = 0), as the code does
  ForeignWaits,   \* ASSUMPTION: a foreign writer does not open while a cut of ours is un-synced
  \* ---- FALSE in the correct protocol
  JudgeSealed     \* headers are judged in sealed segments too

VARIABLES
  page, disk, ndisk, \* as in RecordLog
  pc,     \* "up" "back" "bsync" "rot1" "rot2" | "down" "scan" "copy" "cut" "tsync" | "f"
  bat,    \* cells of the active segment before the short write
  hist,   \* ghost: frames of the present lineage
  acked,  \* ghost: frames acknowledged as durable, by us or by the foreign writer
  free,   \* ghost: frames that atomicity no longer binds (foreign writer, compaction)
  torn, sideP, sideD, cnt, power, kill, fore, comp, lose

vars == <<page, disk, ndisk, pc, bat, hist, acked, free, torn, sideP, sideD, cnt, power, kill, fore, comp, lose>>
count == <<power, kill, fore, comp, lose>>
side == <<torn, sideP, sideD>>

Z == <<"z", "z", 0, 0>>
Cells(f) == << <<"h">> \o f, <<"b">> \o f >>
Range(s) == {s[i] : i \in 1..Len(s)}
IsPrefix(a, b) == Len(a) <= Len(b) /\ \A i \in 1..Len(a) : a[i] = b[i]
Top == Len(page)
RECURSIVE All(_, _)
All(F, n) == IF n = 0 THEN <<>> ELSE All(F, n-1) \o Cells(F[n])

RECURSIVE VP(_, _)
VP(s, i) == IF i + 1 <= Len(s) /\ s[i][1] = "h" /\ s[i+1] = <<"b">> \o Tail(s[i])
            THEN VP(s, i + 2) ELSE i - 1
ValidLen(s) == VP(s, 1)
Raw(s) == [j \in 1..(ValidLen(s) \div 2) |-> Tail(s[2*j])]  \* what a foreign program reads

Ann(h, j) == <<"m", h[2] + Gap*j, h[3] + j>>  \* the j-th announced frame
Hdrs(L) == {i \in 1..Len(L) : L[i][1] = "H"}
(* the rule: frames of the prefix L that are the log *)
Judge(L) == IF Hdrs(L) = {} THEN Len(L)
            ELSE LET h == CHOOSE i \in Hdrs(L) : \A j \in Hdrs(L) : j <= i IN
                 IF /\ Len(L) - h < N
                    /\ CrcList => \A j \in 1..(Len(L) - h) : L[h+j] = Ann(L[h], j)
                 THEN h - 1 ELSE Len(L)
Ruled(s, on) == LET L == Raw(s) IN IF on THEN SubSeq(L, 1, Judge(L)) ELSE L
EndCell(s) == 2 * Len(Ruled(s, WriterRule))
Partial(s) == Judge(Raw(s)) < Len(Raw(s))

RECURSIVE Cat(_)
Cat(n) == IF n = 0 THEN <<>> ELSE Cat(n-1) \o Raw(page[n])
View(t, on) ==    \* segments 1..t, t being the highest
  LET S == {i \in 1..(t-1) : JudgeSealed /\ Partial(page[i])}
      e == IF S = {} THEN t ELSE CHOOSE i \in S : \A j \in S : i <= j
  IN Cat(e - 1) \o Ruled(page[e], on)
Recovered == View(Top, WriterRule)
RView(t) == View(t, ReaderRule)
RawAll == Cat(Top)
NextTx == LET S == {f[2] : f \in Range(RawAll)} IN
          IF S = {} THEN 1 ELSE 1 + CHOOSE x \in S : \A y \in S : y <= x

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

Init == /\ page = <<<<>>>> /\ disk = <<<<>>>> /\ ndisk = 1 /\ pc = "up" /\ bat = 0
        /\ hist = <<>> /\ acked = {} /\ free = {} /\ torn = <<>> /\ sideP = {} /\ sideD = {}
        /\ cnt = 0 /\ power = 0 /\ kill = 0 /\ fore = 0 /\ comp = 0 /\ lose = 0

(* ------------------------------ our writer ------------------------------ *)
Single == << <<"s", NextTx, cnt + 1>> >>
Batch == LET h == <<"H", NextTx, cnt + 1>> IN <<h>> \o [j \in 1..N |-> Ann(h, j)]

Write(F) ==
  /\ pc = "up" /\ cnt + Len(F) <= MaxRec
  /\ page' = [page EXCEPT ![Top] = @ \o All(F, Len(F))]
  /\ hist' = hist \o F /\ cnt' = cnt + Len(F)
  /\ UNCHANGED <<disk, ndisk, pc, bat, acked, free, side, count>>

(* a short write; the kernel may write the remains back; then cut back, or killed *)
Short(F) ==
  /\ pc = "up" /\ cnt + Len(F) <= MaxRec
  /\ \E n \in 1..(2*Len(F) - 1), wb \in BOOLEAN :
       LET c == page[Top] \o SubSeq(All(F, Len(F)), 1, n) IN
       /\ page' = [page EXCEPT ![Top] = c]
       /\ disk' = IF wb THEN [disk EXCEPT ![Top] = c] ELSE disk
  /\ bat' = Len(page[Top]) /\ cnt' = cnt + Len(F) /\ pc' = "back"
  /\ UNCHANGED <<ndisk, hist, acked, free, side, count>>

CutBack ==
  /\ pc = "back"
  /\ page' = [page EXCEPT ![Top] = SubSeq(@, 1, bat)]
  /\ pc' = IF SyncCutBack THEN "bsync" ELSE "up"
  /\ bat' = 0
  /\ UNCHANGED <<disk, ndisk, hist, acked, free, side, cnt, count>>
BackSync ==
  /\ pc = "bsync" /\ pc' = "up" /\ disk' = [disk EXCEPT ![Top] = page[Top]]
  /\ UNCHANGED <<page, ndisk, bat, hist, acked, free, side, cnt, count>>

Fsync ==
  /\ pc = "up" /\ disk[Top] # page[Top]
  /\ disk' = [disk EXCEPT ![Top] = page[Top]] /\ acked' = Range(hist)
  /\ UNCHANGED <<page, ndisk, pc, bat, hist, free, side, cnt, count>>
RotSync ==
  /\ pc = "up" /\ Top < MaxSeg /\ page[Top] # <<>> /\ pc' = "rot1"
  /\ disk' = [disk EXCEPT ![Top] = page[Top]] /\ acked' = Range(hist)
  /\ UNCHANGED <<page, ndisk, bat, hist, free, side, cnt, count>>
RotCreate ==
  /\ pc = "rot1" /\ pc' = "rot2"
  /\ page' = Append(page, <<>>) /\ disk' = Append(disk, <<>>)
  /\ UNCHANGED <<ndisk, bat, hist, acked, free, side, cnt, count>>
RotDirSync ==
  /\ pc = "rot2" /\ pc' = "up" /\ ndisk' = Top
  /\ UNCHANGED <<page, disk, bat, hist, acked, free, side, cnt, count>>

(* one sealed segment is rewritten, at once and durably (InPlaceCompaction has  *)
(* the steps and says what may be dropped; here: any frames)                    *)
RECURSIVE Sel(_, _, _)
Sel(L, S, n) == IF n = 0 THEN <<>>
                ELSE IF L[n] \in S THEN Append(Sel(L, S, n-1), L[n]) ELSE Sel(L, S, n-1)
Seq2(L, S, As(_)) == LET k == Sel(L, S, Len(L)) IN [n \in 1..Len(k) |-> As(k[n])]
Compact(i) ==
  /\ pc = "up" /\ i < Top /\ comp < MaxComp /\ comp' = comp + 1
  /\ LET L == Raw(page[i])
         H == {f \in Range(L) : f[1] = "H"} IN
     \E D \in SUBSET (IF ZeroHeaders THEN Range(L) ELSE Range(L) \ H) :
       LET gone == IF DropHeaders /\ ~ZeroHeaders THEN D \cup H ELSE D
           As(f) == IF ZeroHeaders /\ f \in H THEN <<"o", f[2], f[3]>> ELSE f
           kept == Seq2(L, Range(L) \ gone, As)
           c == All(kept, Len(kept)) IN
       /\ gone # {} \/ kept # L
       /\ page' = [page EXCEPT ![i] = c] /\ disk' = [disk EXCEPT ![i] = c]
       /\ hist' = Seq2(hist, Range(hist) \ gone, As)
       /\ acked' = {As(f) : f \in acked \ gone}
       /\ free' = (free \ (gone \cup H)) \cup Range(kept)
  /\ UNCHANGED <<ndisk, pc, bat, side, cnt, power, kill, fore, lose>>

(* -------------------------------- crashes -------------------------------- *)
NotYetCut == IF pc \in {"scan", "copy", "cut"} THEN <<>> ELSE torn
Kill ==
  /\ pc \notin {"down", "f"} /\ kill < MaxKill
  /\ pc' = "down" /\ kill' = kill + 1 /\ torn' = NotYetCut /\ bat' = 0
  /\ UNCHANGED <<page, disk, ndisk, hist, acked, free, sideP, sideD, cnt, power, fore, comp, lose>>
PowerLoss ==
  /\ power < MaxPower /\ power' = power + 1
  /\ \E n \in ndisk..Top : \E p \in Prod(n) : page' = p /\ disk' = p /\ ndisk' = n
  /\ sideP' \in {sideP, sideD} /\ sideD' = sideP'
  /\ pc' = "down" /\ torn' = NotYetCut /\ bat' = 0
  /\ UNCHANGED <<hist, acked, free, cnt, kill, fore, comp, lose>>
(* no crash does this: the EMPTY highest segment file is removed, or a copy lacks it *)
LoseTop ==
  /\ pc = "down" /\ lose < MaxLose /\ Top > 1 /\ page[Top] = <<>> /\ lose' = lose + 1
  /\ page' = SubSeq(page, 1, Top - 1) /\ disk' = SubSeq(disk, 1, Top - 1)
  /\ ndisk' = IF ndisk < Top THEN ndisk ELSE Top - 1
  /\ UNCHANGED <<pc, bat, hist, acked, free, side, cnt, power, kill, fore, comp>>

(* ----------------------------- reopen, ours ----------------------------- *)
Open ==
  /\ pc = "down" /\ pc' = "scan" /\ ndisk' = Top
  /\ UNCHANGED <<page, disk, bat, hist, acked, free, side, cnt, count>>
Scan ==
  /\ pc = "scan"
  /\ LET s == page[Top]
         e == IF CutHeader THEN EndCell(s) ELSE ValidLen(s) IN
     IF Len(s) > e
       THEN /\ pc' = "copy" /\ torn' = SubSeq(s, e + 1, Len(s)) /\ UNCHANGED hist
       ELSE /\ torn' = <<>>
            /\ IF SyncOnOpen THEN pc' = "tsync" /\ UNCHANGED hist
                             ELSE pc' = "up" /\ hist' = Recovered
  /\ UNCHANGED <<page, disk, ndisk, bat, acked, free, sideP, sideD, cnt, count>>
Copy ==
  /\ pc = "copy" /\ pc' = "cut"
  /\ LET t == IF SideHeader THEN torn ELSE SubSeq(page[Top], ValidLen(page[Top]) + 1, Len(page[Top])) IN
     /\ sideP' = sideP \cup {t}
     /\ sideD' = IF SideSync THEN sideD \cup {t} ELSE sideD
  /\ UNCHANGED <<page, disk, ndisk, bat, hist, acked, free, torn, cnt, count>>
Cut ==
  /\ pc = "cut"
  /\ page' = [page EXCEPT ![Top] = SubSeq(@, 1, Len(@) - Len(torn))]
  /\ IF SyncTrunc THEN pc' = "tsync" /\ UNCHANGED hist
                  ELSE pc' = "up" /\ hist' = Recovered
  /\ UNCHANGED <<disk, ndisk, bat, acked, free, side, cnt, count>>
CutSync ==
  /\ pc = "tsync" /\ pc' = "up" /\ hist' = Recovered
  /\ disk' = [disk EXCEPT ![Top] = page[Top]]
  /\ UNCHANGED <<page, ndisk, bat, acked, free, side, cnt, count>>

(* --------------- a foreign writer, which knows no headers --------------- *)
FOpen ==
  /\ pc = "down" /\ fore < MaxForeign /\ fore' = fore + 1 /\ pc' = "f"
  /\ ValidLen(page[Top]) = Len(page[Top])
  /\ ForeignWaits => IsPrefix(disk[Top], page[Top])
  /\ ndisk' = Top
  /\ UNCHANGED <<page, disk, bat, hist, acked, free, side, cnt, power, kill, comp, lose>>
Void == LET L == Raw(page[Top]) IN IF Partial(page[Top]) THEN {L[Judge(L) + 1]} ELSE {}
Twins == {f \in UNION {{Ann(h, j) : j \in 1..N} : h \in Void} : f[2] = NextTx}
FAppend ==
  /\ pc = "f" /\ cnt < MaxRec /\ cnt' = cnt + 1
  /\ \E f \in {<<"f", NextTx, cnt + 1>>} \cup Twins :
       /\ page' = [page EXCEPT ![Top] = @ \o Cells(f)]
       /\ hist' = Append(RawAll, f)
       /\ free' = free \cup Void \cup {f}
  /\ UNCHANGED <<disk, ndisk, pc, bat, acked, side, count>>
Own == {f \in Range(RawAll) : f[1] = "f" \/ (f[1] = "m" /\ f \in free)}
FFsync ==
  /\ pc = "f" /\ disk # page /\ disk' = page /\ acked' = acked \cup Own
  /\ UNCHANGED <<page, ndisk, pc, bat, hist, free, side, cnt, count>>
FRotate ==                \* fsync, create, fsync of the directory
  /\ pc = "f" /\ Top < MaxSeg /\ page[Top] # <<>>
  /\ page' = Append(page, <<>>) /\ disk' = page' /\ ndisk' = Top + 1
  /\ acked' = acked \cup Own /\ hist' = RawAll /\ free' = free \cup Void
  /\ UNCHANGED <<pc, bat, side, cnt, count>>
FClose ==                 \* or is killed
  /\ pc = "f" /\ pc' = "down"
  /\ UNCHANGED <<page, disk, ndisk, bat, hist, acked, free, side, cnt, count>>

Next == \/ Write(Single) \/ Write(Batch) \/ Short(Single) \/ Short(Batch)
        \/ CutBack \/ BackSync \/ Fsync \/ RotSync \/ RotCreate \/ RotDirSync
        \/ \E i \in 1..MaxSeg : Compact(i)
        \/ Kill \/ PowerLoss \/ LoseTop \/ Open \/ Scan \/ Copy \/ Cut \/ CutSync
        \/ FOpen \/ FAppend \/ FFsync \/ FRotate \/ FClose
Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
(* whole operations only, where nobody appended behind a partial one *)
Whole(L) == \A i \in 1..Len(L) :
  /\ (L[i][1] = "H" /\ L[i] \notin free) =>
        i + N <= Len(L) /\ \A j \in 1..N : L[i+j] = Ann(L[i], j)
  /\ (L[i][1] = "m" /\ L[i] \notin free) =>
        \E j \in 1..N : i > j /\ L[i-j][1] = "H" /\ L[i] = Ann(L[i-j], j)
Atomic            == Whole(Recovered)
AckedSurvive      == acked \subseteq Range(Recovered)
RecoveredIsPrefix == IsPrefix(Recovered, hist)
NoInvention       == Z \notin Range(Recovered)
\* a reader that listed 1..t as the segments, whenever it reads them
ReaderWhole == \A t \in 1..Top : Whole(RView(t))
\* reader and writer agree on where the log ends, also during a cut-back
EndAgreed   == pc \in {"up", "back", "bsync", "rot1", "rot2"} => RView(Top) = hist
ReaderNext  == pc # "f" => RView(Top) = Recovered   \* ... and with the next opening
SealedWhole == \A i \in 1..(Top - 1) : ValidLen(page[i]) = Len(page[i])
TornKept    == torn # <<>> => \/ torn \in sideP
                              \/ torn = SubSeq(page[Top], EndCell(page[Top]) + 1, Len(page[Top]))
CleanWhenUp == (pc = "up" /\ CutHeader) => EndCell(page[Top]) = Len(page[Top])
\* vacuity, must be violated: a partial batch voided by a foreign record that was acked,
\* then a record of ours, all durable, then a power loss
ReachVoid == ~(power = MaxPower /\ pc = "up" /\ \E f, g, h \in acked :
                f[1] = "f" /\ g[1] = "H" /\ g \in free /\ h[1] = "s" /\ g[2] < f[2] /\ f[2] < h[2])
\* vacuity: a partial batch with a whole member was cut, its side copy is durable
ReachCut  == ~(power = MaxPower /\ pc = "up" /\ acked # {} /\ \E s \in sideD : Len(s) >= 4 /\ s[1][2] = "H" /\ s[4][2] = "m")
=============================================================================
