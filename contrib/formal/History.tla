\* SPDX-License-Identifier: MIT OR Apache-2.0
-------------------------------- MODULE History --------------------------------
(* InPlaceCompaction with a history horizon: "the state as of txid T" is right   *)
(* or refused. A horizon record is [t |-> "h", k |-> <<lo, hi>>]: no T with      *)
(* lo <= T < hi is answered. hist (ghost) is the log that was never compacted.   *)
EXTENDS InPlaceCompaction

CONSTANTS MaxUser,    \* records that are not horizons
  Place,      \* "active": appended to the active segment before the rewrite is installed
              \* "file": a record of the rewritten segment itself
  Interval,   \* lo = lowest dropped txid / FALSE: lo = 0
  Suffix,     \* TRUE: of each key, older records go before younger ones
  \* ---- switches, TRUE in the correct protocol
  HzFirst,    \* "active": the horizon is durable before the rewrite is installed
  HzSuper,    \* hi = txid of the record that supersedes the dropped one / FALSE: of the dropped one
  HzLast,     \* "active": the LAST horizon stays / FALSE: one that has an earlier one may go
  HzMerge,    \* a new horizon covers the ones that it replaces
  HzSame      \* a reader takes the horizons from the bytes that it reads / FALSE: from before

VARIABLES
  need,       \* what the planned rewrite makes wrong: <<lo, hi>>
  rd          \* HzSame = FALSE: a reader's horizons: <<>> or <<set>>
hvars == <<cur, poss, adur, known, dirOK, topOK, tmp, up, hist, acked, next, power, kill, need, rd>>
hv == <<need, rd>>

None == <<0, 0>>
Mn(S) == CHOOSE x \in S : \A y \in S : x <= y
Mx(S) == CHOOSE x \in S : \A y \in S : y <= x
Merge(a, b) == IF a = None THEN b ELSE IF b = None THEN a
               ELSE <<Mn({a[1], b[1]}), Mx({a[2], b[2]})>>
RECURSIVE MergeAll(_)
MergeAll(S) == IF S = {} THEN None
               ELSE LET x == CHOOSE x \in S : TRUE IN Merge(x, MergeAll(S \ {x}))
Covers(a, b) == b = None \/ (a[1] <= b[1] /\ b[2] <= a[2])
HzOf(s, n) == {s[m].k : m \in {x \in 1..n : s[x].t = "h"}}
Visible == UNION {HzOf(cur[j].s, Len(cur[j].s)) : j \in Segs}
Durable == UNION {HzOf(cur[j].s, IF j < Top THEN Len(cur[j].s) ELSE known) : j \in Ids}

Heirs(i, n) ==        \* txids of what supersedes record n of segment i
  LET r == cur[i].s[n]
      Y(j, lo, hi) == {cur[j].s[m].id : m \in {x \in lo..hi : cur[j].s[x].k = r.k /\ cur[j].s[x].t \in Over(r.t)}}
  IN Y(i, n + 1, Len(cur[i].s)) \cup UNION {Y(j, 1, Lim(j)) : j \in (i+1)..Top}
Wrong(i, n) ==        \* a Del that goes by rule B alone makes nothing wrong
  LET r == cur[i].s[n]  S == Heirs(i, n) IN
  IF S = {} THEN None ELSE <<IF Interval THEN r.id ELSE 0, IF HzSuper THEN Mn(S) ELSE r.id>>

Chain(t) == IF t = "p" THEN {"p", "d"} ELSE IF t = "a" THEN {"a", "d"} ELSE {"p", "a", "d"}
SuffixOK(i, E) == \A n \in E : LET r == cur[i].s[n] IN
  /\ \A m \in 1..(n-1) : (cur[i].s[m].k = r.k /\ cur[i].s[m].t \in Chain(r.t)) => m \in E
  /\ \A j \in 1..(i-1) : \A m \in 1..Len(cur[j].s) : cur[j].s[m].k = r.k => cur[j].s[m].t \notin Chain(r.t)
HzDropOK(i, n) ==
  \/ \E m \in (n+1)..Len(cur[i].s) : cur[i].s[m].t = "h"
  \/ \E j \in (i+1)..Top : HzOf(cur[j].s, Lim(j)) # {}
  \/ ~HzLast /\ (HzOf(cur[i].s, n-1) # {} \/ \E j \in 1..(i-1) : HzOf(cur[j].s, Len(cur[j].s)) # {})

(* "file": the horizon takes the place, and the txid, of the last dropped record *)
WithHz(s, D, h) ==
  LET z == Mx(D) IN
  Without(SubSeq(s, 1, z), D, z)
  \o (IF h = None THEN <<>> ELSE <<[k |-> h, t |-> "h", id |-> s[z].id]>>)
  \o SubSeq(s, z + 1, Len(s))

HPlan(i) ==
  /\ up /\ ~tmp.on /\ i < Top /\ cur[i].e /\ dirOK /\ (topOK \/ RotateBeside)
  /\ LET s == cur[i].s
         Z == {n \in 1..Len(s) : s[n].t = "h"} IN
     \E E \in SUBSET ((1..Len(s)) \ Z), G \in (IF Place = "active" THEN SUBSET Z ELSE {Z}) :
       /\ IF Place = "active" THEN E \cup G # {} ELSE E # {}
       /\ DropOK(i, E)
       /\ Suffix => SuffixOK(i, E)
       /\ Place = "active" => \A n \in G : HzDropOK(i, n)
       /\ LET w == MergeAll({Wrong(i, n) : n \in E} \ {None}) IN
          /\ need' = w
          /\ tmp' = [on |-> TRUE, seg |-> i, synced |-> TRUE, cut |-> Written,
                     s |-> IF Place = "active" THEN Without(s, E \cup G, Len(s))
                           ELSE WithHz(s, E \cup G, IF HzMerge THEN Merge(w, MergeAll({s[n].k : n \in Z})) ELSE w)]
  /\ UNCHANGED <<cur, poss, adur, known, dirOK, topOK, up, hist, acked, next, power, kill, rd>>

HzAppend ==
  /\ Place = "active" /\ tmp.on /\ need # None /\ ~\E h \in Visible : Covers(h, need)
  /\ AppendRec(IF HzMerge THEN Merge(need, MergeAll(Visible)) ELSE need, "h") /\ UNCHANGED hv

HInstall ==
  /\ Install
  /\ Place = "active" => \/ need = None
                         \/ \E h \in (IF HzFirst THEN Durable ELSE Visible) : Covers(h, need)
  /\ need' = None /\ UNCHANGED rd

RTake == /\ ~HzSame /\ rd = <<>> /\ rd' = <<Visible>>
         /\ UNCHANGED <<cur, poss, adur, known, dirOK, topOK, tmp, up, hist, acked, next, power, kill, need>>

Users == Len(SelectSeq(hist, LAMBDA r : r.t # "h"))
HInit == Init /\ need = None /\ rd = <<>>
HNext == \/ \E k \in Keys, t \in Kinds : Users < MaxUser /\ AppendRec(k, t) /\ UNCHANGED hv
         \/ (Fsync \/ Rotate \/ DirSync) /\ UNCHANGED hv
         \/ \E i \in Segs : HPlan(i)
         \/ HzAppend \/ HInstall \/ RTake
         \/ Kill /\ need' = None /\ UNCHANGED rd
         \/ PowerLoss /\ need' = None /\ rd' = <<>>
         \/ Reopen /\ UNCHANGED hv
HSpec == HInit /\ [][HNext]_hvars
----------------------------------------------------------------------------
Upto(l, T) == SelectSeq(l, LAMBDA r : r.id <= T)
ValAt(l, k, T) == LET u == Upto(l, T) IN Last(u, k, Len(u))
AttrAt(l, k, T) == Shown(Upto(l, T), k)
AtRight(T) == LET l == Flat(cur, MaxSeg) IN
  \A k \in Keys : ValAt(l, k, T) = ValAt(hist, k, T) /\ AttrAt(l, k, T) = AttrAt(hist, k, T)
Refused(S, T) == \E h \in S : h[1] <= T /\ T < h[2]
\* in every state, hence after every crash and for every reader that sees one state
AtIsRightOrRefused == \A T \in 1..(next-1) : Refused(Visible, T) \/ AtRight(T)
AtEarly == rd # <<>> => \A T \in 1..(next-1) : Refused(rd[1], T) \/ AtRight(T)
\* the present is never refused, also when txids are counted on from the highest found
NowAnswered == LET l == Flat(cur, MaxSeg) IN
  \A h \in Visible : \E n \in 1..Len(l) : l[n].t # "h" /\ l[n].id >= h[2]
\* Suffix: a key's value is right from its oldest surviving Put or Del on, whatever the horizon
KeyFine == LET l == Flat(cur, MaxSeg) IN \A k \in Keys, T \in 1..(next-1) :
  /\ (\E n \in 1..Len(l) : l[n].k = k /\ l[n].t \in {"p", "d"} /\ l[n].id <= T)
        => ValAt(l, k, T) = ValAt(hist, k, T)
  /\ (\E n \in 1..Len(l) : l[n].k = k /\ l[n].t \in {"a", "d"} /\ l[n].id <= T)
        => Attr(Upto(l, T), k) = Attr(Upto(hist, T), k)
\* vacuity, must be violated: after a power loss, something dropped, a T below the horizon
\* refused and wrong, one above it answered that is not the present
ReachHz == ~(power = MaxPower /\ up /\ \E T \in 1..(next-1), k \in Keys : /\ Refused(Visible, T) /\ ~AtRight(T)
             /\ \E U \in (T+1)..(next-1) : ~Refused(Visible, U) /\ ValAt(hist, k, U) # HView(k))
\* vacuity for Interval: a T BELOW everything that was dropped is still answered
ReachLow == ~(power = MaxPower /\ up /\ Visible # {} /\ \E k \in Keys : ValAt(hist, k, 1) # 0
              /\ ~Refused(Visible, 1) /\ \E T \in 2..(next-1) : ~AtRight(T))
=============================================================================
