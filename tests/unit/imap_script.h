/* imap_script.h - a scripted IMAP server on loopback, in a thread, for tests of the session.
 *
 * A script is a list of lines:
 *   "S: text"     send the line                    "S> text"    send without a line end
 *   "C: text"     expect exactly this line         "C* text"    expect a line that begins so
 *   "L: n"        read n bytes (a literal)         "R: n"       send n bytes of 'x'
 *   "!next"       close, then serve the next connection of the client
 *   "!end"        expect that the client closes without another byte
 *   "!gone n"     the client closes; it may send up to n bytes before that
 *   "!quiet"      expect that nothing arrives for 150 ms
 *   "!cut"        close now
 * After the last line the server waits for the client to close; "LOGOUT" may come before that.
 */
#ifndef IMAP_SCRIPT_H
#define IMAP_SCRIPT_H

#include "../../worker/endpoint.h"

struct script;

struct script *script_start(const char *const *lines);
uint16_t script_port(const struct script *s);
/* Everything the server sends is cut off (connection closed) after this many bytes; SIZE_MAX = never.
 * drip: send byte by byte. Before the first connection. */
void script_shape(struct script *s, size_t cut_after, bool drip);
/* Wait for the server's end: NULL if all went by the script, else what did not. */
const char *script_end(struct script *s);
size_t script_sent(const struct script *s);
void script_free(struct script **s);

/* An endpoint for that server: mailbox "me@x", password "secret", TLS none. */
struct endpoint *script_endpoint(struct script *s);
void script_endpoint_free(struct endpoint **ep);
/* Settings of the endpoint that script_endpoint() makes next. */
struct conf_endpoint *script_conf(void);

#define SCRIPT_AUTH "AG1lQHgAc2VjcmV0"       /* \0me@x\0secret */
/* From greeting to the end of the listing, with tags A1 to A4 (A3 only with NAMESPACE). */
#define SCRIPT_LOGON(caps) \
	"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready", \
	"C: A1 AUTHENTICATE PLAIN " SCRIPT_AUTH, \
	"S: A1 OK [CAPABILITY IMAP4rev1 " caps "] in", \
	"C: A2 CAPABILITY"

#endif
