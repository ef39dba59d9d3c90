/* imap_cmd.h - the only encoder of commands.
 *
 * A command is built in im->cmd and handed to the connection by imap_cmd_end(). What comes from
 * outside goes through imap_cmd_name() or imap_cmd_secret(); imap_cmd_add() and imap_cmd_fmt() are
 * for our own text only. Control characters are refused, so data can never end a line.
 */
#ifndef MS_IMAP_CMD_H
#define MS_IMAP_CMD_H

#include "imap.h"

/* Start "TAG WHAT". The call must be zeroed; it is under way once imap_cmd_end() was called. */
void imap_cmd_begin(struct imap *im, struct imap_call *call, const char *what);
void imap_cmd_add(struct imap *im, const char *text);
void imap_cmd_fmt(struct imap *im, const char *fmt, ...) MS_PRINTF(2, 3);
/* " " and the quoted name. A name with CR, LF or NUL makes imap_cmd_end() fail with E_FOLDER_NAME. */
void imap_cmd_name(struct imap *im, struct span name);
/* " (\Seen $Label1)" with what is in the whitelist and valid; every keyword is checked again. */
void imap_cmd_flags(struct imap *im, uint32_t flags, const char *keywords);
/* Queue the command for sending; nothing waits but a full connection. */
enum code imap_cmd_end(struct imap *im, struct imap_call *call, struct err *err) MS_MUST_USE;
/* The command so far with a literal to follow: registers the call and queues "{n}" or "{n+}". The
 * caller then sends the bytes with conn_put() and either another piece or imap_cmd_tail(). */
enum code imap_cmd_literal(struct imap *im, struct imap_call *call, uint64_t size, bool plus,
			   struct err *err) MS_MUST_USE;
/* More text of a command whose literal was just sent, up to its end. */
enum code imap_cmd_tail(struct imap *im, struct err *err) MS_MUST_USE;
/* All in one: "TAG TEXT", wait for the answer. */
enum code imap_cmd_run(struct imap *im, struct imap_call *call, const char *what, struct err *err) MS_MUST_USE;

/* Append s as an IMAP quoted string; false if it holds CR, LF or NUL (nothing is added then). */
bool imap_quote(struct buf *b, struct span s);
/* One line of base64 that answers a challenge, or the initial response (" ..." without a line end
 * when `initial`). The bytes are wiped. */
enum code imap_cmd_secret_line(struct imap *im, struct buf *plain, struct err *err) MS_MUST_USE;
void imap_cmd_secret_initial(struct imap *im, struct buf *plain);
/* " " and login or password for LOGIN; false if it needs a literal (8-bit) or is impossible. */
bool imap_cmd_login_word(struct imap *im, const char *p, size_t n);

#endif
