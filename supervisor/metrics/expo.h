/* expo.h - the supervisor's figures as Prometheus text (exposition format 0.0.4). Pure.
 *
 * The number of series does not depend on the number of pairings or items: labels are words of
 * fixed lists and the numbers of worker slots. Only expo_pairings() has one series per pairing.
 */
#ifndef MS_METRICS_EXPO_H
#define MS_METRICS_EXPO_H

#include "../../common/buf.h"

#define EXPO_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* mailshadow_up, alone, where the supervisor did not answer; with 1 it stands before the others. */
void expo_up(struct buf *out, bool up);
/* `json`: the answer to `metrics`. E_PROTOCOL if it is not one of version 1; `out` is then as it was. */
enum code expo_figures(struct buf *out, struct span json, struct err *err) MS_MUST_USE;
/* `json`: the answer to `status`. */
enum code expo_pairings(struct buf *out, struct span json, struct err *err) MS_MUST_USE;

#endif
