\* SPDX-License-Identifier: MIT OR Apache-2.0
---------------------------- MODULE ReadWhileWrite ----------------------------
(* A lock-free reader in another process against writer + in-place compaction.  *)
(* No crashes here (InPlaceCompaction.tla has them); listing and opening a      *)
(* directory is NOT atomic: each name is looked at in its own step, any order.  *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Keys, MaxRec, MaxSeg, MaxIno,
  Unlink,         \* "never": a dead segment becomes an EMPTY file, its name stays
                  \* "bottom": unlinked only when no lower segment exists, else emptied
                  \* "any": unlinked at once
                  \* "empty": emptied first; an EMPTY one is unlinked below the lowest non-empty
                  \* "emptylow": the same, lowest first
                  \* "floor": as "empty", but only below a floor number raised before
  AtomicList,     \* the second listing is one step (NOT promised by POSIX)
  \* ---- switches, all TRUE in the correct protocol
  Recheck,        \* look at every name again after opening everything
  CheckNew,       \* ... where a name that was absent before counts as a change
  CheckIdent,     \* ... and so does a same name with another inode (stat'ed afterwards)
  HoldFds,        \* files stay open (read by fd, not by name again)
  \* ---- FALSE in the correct protocol
  LooseEmpty      \* an opened EMPTY segment below another opened one is final: may vanish

VARIABLES
  dir,    \* dir[i] = inode bound to segment i, 0 = none
  ino,    \* ino[n] = content of inode n (immutable once sealed)
  nino, hist, next,
  floor,  \* segments below it are empty for good (stays 1 unless Unlink = "floor")
  rpc,    \* "idle" "open" "check" "ident" "floor" "read" "done" "retry"
  todo,   \* names still to be looked at in this phase
  got,    \* got[i] = inode opened for segment i, 0 = not there
  fl,     \* the floor read first
  res,    \* contents read
  start   \* ghost: Len(hist) when this attempt started
\* "retry" is a final state: the next attempt is a reader that starts later.

vars == <<dir, ino, nino, hist, next, floor, rpc, todo, got, fl, res, start>>

Segs == 1..MaxSeg
Ids == {i \in Segs : dir[i] # 0}
Top == CHOOSE i \in Ids : \A j \in Ids : j <= i
Zero == [i \in Segs |-> 0]
Empty == [i \in Segs |-> <<>>]
C(i) == IF dir[i] = 0 THEN <<>> ELSE ino[dir[i]]

RECURSIVE Last(_, _, _)
Last(l, k, n) == IF n = 0 THEN 0
                 ELSE IF l[n].k = k THEN (IF l[n].d THEN 0 ELSE l[n].id)
                 ELSE Last(l, k, n-1)
Fold(l) == [k \in Keys |-> Last(l, k, Len(l))]
RECURSIVE Flat(_, _)
Flat(c, n) == IF n = 0 THEN <<>> ELSE Flat(c, n-1) \o c[n]

Init == /\ dir = [i \in Segs |-> IF i = 1 THEN 1 ELSE 0]
        /\ ino = [n \in 1..MaxIno |-> <<>>] /\ nino = 1
        /\ hist = <<>> /\ next = 1 /\ floor = 1 /\ fl = 1
        /\ rpc = "idle" /\ todo = {} /\ got = Zero /\ res = Empty /\ start = 0

RQuiet == UNCHANGED <<rpc, todo, got, fl, res, start>>
Live == rpc \notin {"done", "retry"}

AppendRec(k, d) ==
  /\ Live /\ next <= MaxRec /\ next' = next + 1
  /\ LET r == [k |-> k, d |-> d, id |-> next] IN
     /\ ino' = [ino EXCEPT ![dir[Top]] = Append(@, r)]
     /\ hist' = Append(hist, r)
  /\ UNCHANGED <<dir, nino, floor>> /\ RQuiet

Rotate ==
  /\ Live /\ Top < MaxSeg /\ nino < MaxIno /\ ino[dir[Top]] # <<>>
  /\ nino' = nino + 1 /\ dir' = [dir EXCEPT ![Top + 1] = nino + 1]
  /\ UNCHANGED <<ino, hist, next, floor>> /\ RQuiet

(* rules of InPlaceCompaction.tla, everything durable *)
Later(i, n) == LET k == C(i)[n].k IN
  \/ \E m \in (n+1)..Len(C(i)) : C(i)[m].k = k
  \/ \E j \in (i+1)..Top : \E m \in 1..Len(C(j)) : C(j)[m].k = k
LowerPut(i, k) == \E j \in 1..(i-1) : \E m \in 1..Len(C(j)) : C(j)[m].k = k /\ ~C(j)[m].d
DropOK(i, D) ==
  \A n \in D : LET r == C(i)[n] IN
    \/ Later(i, n)
    \/ r.d /\ ~LowerPut(i, r.k)
       /\ \A m \in 1..(n-1) : (C(i)[m].k = r.k /\ ~C(i)[m].d) => m \in D
RECURSIVE Without(_, _, _)
Without(s, D, n) == IF n = 0 THEN <<>>
                    ELSE IF n \in D THEN Without(s, D, n-1)
                    ELSE Append(Without(s, D, n-1), s[n])
MayUnlink(i) == \/ Unlink = "any"
                \/ Unlink = "bottom" /\ \A j \in 1..(i-1) : dir[j] = 0
Rewrite(i) ==
  /\ Live /\ dir[i] # 0 /\ i < Top
  /\ \E D \in SUBSET (1..Len(C(i))) :
       /\ D # {} \/ (C(i) = <<>> /\ MayUnlink(i))
       /\ DropOK(i, D)
       /\ LET c == Without(C(i), D, Len(C(i))) IN
          IF c = <<>> /\ MayUnlink(i) THEN dir' = [dir EXCEPT ![i] = 0] /\ UNCHANGED <<ino, nino>>
          ELSE /\ nino < MaxIno /\ nino' = nino + 1
               /\ dir' = [dir EXCEPT ![i] = nino + 1]
               /\ ino' = [ino EXCEPT ![nino + 1] = c]
  /\ UNCHANGED <<hist, next, floor>> /\ RQuiet

(* the same with the writer lock held and no append: sessions may alternate at  *)
(* any point, and the reader may outlive several of them                        *)
EmptyTo(i) == i < Top /\ \A j \in 1..i : C(j) = <<>>
UnlinkEmpty(i) ==
  /\ Live /\ dir[i] # 0 /\ EmptyTo(i) /\ \E j \in (i+1)..Top : C(j) # <<>>
  /\ \/ Unlink = "empty"
     \/ Unlink = "emptylow" /\ \A j \in 1..(i-1) : dir[j] = 0
     \/ Unlink = "floor" /\ i < floor
  /\ dir' = [dir EXCEPT ![i] = 0]
  /\ UNCHANGED <<ino, nino, hist, next, floor>> /\ RQuiet
RaiseFloor(i) ==
  /\ Live /\ Unlink = "floor" /\ i >= floor /\ dir[i] # 0 /\ EmptyTo(i) /\ floor' = i + 1
  /\ UNCHANGED <<dir, ino, nino, hist, next>> /\ RQuiet

WQuiet == UNCHANGED <<dir, ino, nino, hist, next, floor>>

RStart ==
  /\ rpc = "idle" /\ rpc' = "open" /\ got' = Zero /\ res' = Empty
  /\ fl' = floor /\ todo' = floor..MaxSeg
  /\ start' = Len(hist) /\ WQuiet

ROpen ==                            \* look up one name, open it when it is there
  /\ rpc = "open"
  /\ \E i \in todo :
       /\ ~Recheck => \A j \in todo : i <= j            \* the lazy reader goes up
       /\ got' = [got EXCEPT ![i] = dir[i]]
       /\ res' = IF Recheck THEN res ELSE [res EXCEPT ![i] = C(i)]
       /\ IF todo # {i} THEN rpc' = rpc /\ todo' = todo \ {i}
          ELSE IF Recheck THEN rpc' = "check" /\ todo' = fl..MaxSeg
          ELSE rpc' = "done" /\ todo' = {}
  /\ UNCHANGED <<start, fl>> /\ WQuiet

Opened == {i \in Segs : got[i] # 0}
Retry == rpc' = "retry" /\ todo' = {}
Enter == IF Opened = {} THEN Retry
         ELSE rpc' = (IF Unlink = "floor" THEN "floor" ELSE "read") /\ todo' = Opened
Final(i) == LooseEmpty /\ got[i] # 0 /\ ino[got[i]] = <<>> /\ \E j \in Opened : j > i
SameName(i) == \/ (got[i] = 0) = (dir[i] = 0)
               \/ Final(i)
               \/ ~CheckNew /\ got[i] = 0

RCheck ==                           \* second listing: names
  /\ rpc = "check"
  /\ \E S \in (IF AtomicList THEN {todo} ELSE {{i} : i \in todo}) :
       IF \E i \in S : ~SameName(i) THEN Retry
       ELSE IF todo # S THEN rpc' = rpc /\ todo' = todo \ S
       ELSE IF CheckIdent /\ Opened # {} THEN rpc' = "ident" /\ todo' = Opened
       ELSE Enter
  /\ UNCHANGED <<got, fl, res, start>> /\ WQuiet

RIdent ==                           \* then stat every opened name
  /\ rpc = "ident"
  /\ \E i \in todo :
       IF got[i] # dir[i] /\ ~Final(i) THEN Retry
       ELSE IF todo # {i} THEN rpc' = rpc /\ todo' = todo \ {i} ELSE Enter
  /\ UNCHANGED <<got, fl, res, start>> /\ WQuiet

RFloor ==                           \* read the floor again
  /\ rpc = "floor"
  /\ IF floor # fl THEN Retry ELSE rpc' = "read" /\ todo' = todo
  /\ UNCHANGED <<got, fl, res, start>> /\ WQuiet

RRead ==          \* by fd: only one of the files can still grow, so one step will do
  /\ rpc = "read"
  /\ IF HoldFds
       THEN /\ res' = [i \in Segs |-> IF i \in todo THEN ino[got[i]] ELSE <<>>]
            /\ rpc' = "done" /\ todo' = {}
       ELSE \E i \in todo :
            /\ res' = [res EXCEPT ![i] = C(i)] /\ todo' = todo \ {i}
            /\ rpc' = IF todo = {i} THEN "done" ELSE rpc
  /\ UNCHANGED <<got, fl, start>> /\ WQuiet

Next == \/ \E k \in Keys, d \in BOOLEAN : AppendRec(k, d)
        \/ Rotate \/ \E i \in Segs : Rewrite(i) \/ UnlinkEmpty(i) \/ RaiseFloor(i)
        \/ RStart \/ ROpen \/ RCheck \/ RIdent \/ RFloor \/ RRead
Spec == Init /\ [][Next]_vars
----------------------------------------------------------------------------
\* the fold equals the projection at ONE moment between start and end
Linearizable ==
  rpc = "done" => \E p \in start..Len(hist) : Fold(Flat(res, MaxSeg)) = Fold(SubSeq(hist, 1, p))
\* weaker: the state at some moment at all
SomePrefix ==
  rpc = "done" => \E p \in 0..Len(hist) : Fold(Flat(res, MaxSeg)) = Fold(SubSeq(hist, 1, p))
\* weakest: a key deleted before the start and not written since is not seen
NoResurrection ==
  rpc = "done" => \A k \in Keys :
     (Last(hist, k, start) = 0 /\ \A p \in (start+1)..Len(hist) : hist[p].k # k)
        => Fold(Flat(res, MaxSeg))[k] = 0
DiskView == Fold(Flat([i \in Segs |-> C(i)], MaxSeg)) = Fold(hist)
\* search bound for the one variant whose counterexample is long
PutsOnly == /\ \A p \in 1..Len(hist) : ~hist[p].d
            /\ rpc = "idle" => Len(hist) <= 1
\* vacuity: must be violated: a success although the directory changed during the read
ReachDone == ~(rpc = "done" /\ dir # got /\ dir[1] # 1 /\ Len(hist) > start /\ Opened # {})
=============================================================================
