/* imap_roles.c - which folder is Sent, Trash and so on: by SPECIAL-USE, else by the names that mail
 * programs give them.
 */
#include "imap.h"

#include "../data/path.h"

static enum ep_role role_of_name(struct span name)
{
	static const struct {
		enum ep_role role;
		const char *name;
	} table[] = {
		{ EP_ROLE_SENT, "Sent" }, { EP_ROLE_SENT, "Sent Items" }, { EP_ROLE_SENT, "Sent Messages" },
		{ EP_ROLE_SENT, "Sent Mail" }, { EP_ROLE_SENT, "Gesendet" },
		{ EP_ROLE_SENT, "Gesendete Objekte" }, { EP_ROLE_SENT, "Gesendete Elemente" },
		{ EP_ROLE_SENT, "Envoy\303\251s" }, { EP_ROLE_SENT, "\303\211l\303\251ments envoy\303\251s" },
		{ EP_ROLE_SENT, "Enviados" }, { EP_ROLE_SENT, "Elementos enviados" },
		{ EP_ROLE_SENT, "Posta inviata" }, { EP_ROLE_SENT, "Verzonden items" },
		{ EP_ROLE_DRAFTS, "Drafts" }, { EP_ROLE_DRAFTS, "Entw\303\274rfe" },
		{ EP_ROLE_DRAFTS, "Brouillons" }, { EP_ROLE_DRAFTS, "Borradores" }, { EP_ROLE_DRAFTS, "Bozze" },
		{ EP_ROLE_DRAFTS, "Concepten" },
		{ EP_ROLE_TRASH, "Trash" }, { EP_ROLE_TRASH, "Deleted Items" },
		{ EP_ROLE_TRASH, "Deleted Messages" }, { EP_ROLE_TRASH, "Bin" },
		{ EP_ROLE_TRASH, "Papierkorb" }, { EP_ROLE_TRASH, "Gel\303\266schte Objekte" },
		{ EP_ROLE_TRASH, "Gel\303\266schte Elemente" }, { EP_ROLE_TRASH, "Corbeille" },
		{ EP_ROLE_TRASH, "\303\211l\303\251ments supprim\303\251s" }, { EP_ROLE_TRASH, "Papelera" },
		{ EP_ROLE_TRASH, "Elementos eliminados" }, { EP_ROLE_TRASH, "Cestino" },
		{ EP_ROLE_TRASH, "Prullenbak" }, { EP_ROLE_TRASH, "Verwijderde items" },
		{ EP_ROLE_JUNK, "Junk" }, { EP_ROLE_JUNK, "Spam" }, { EP_ROLE_JUNK, "Junk E-mail" },
		{ EP_ROLE_JUNK, "Junk Email" }, { EP_ROLE_JUNK, "Bulk Mail" },
		{ EP_ROLE_JUNK, "Courrier ind\303\251sirable" }, { EP_ROLE_JUNK, "Correo no deseado" },
		{ EP_ROLE_JUNK, "Posta indesiderata" }, { EP_ROLE_JUNK, "Ongewenste e-mail" },
		{ EP_ROLE_ARCHIVE, "Archive" }, { EP_ROLE_ARCHIVE, "Archiv" }, { EP_ROLE_ARCHIVE, "Archives" },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (span_eq_nocase_str(name, table[i].name))
			return table[i].role;
	return EP_ROLE_NONE;
}

void imap_settle_roles(struct ep_folder *f, size_t n)
{
	bool taken[EP_ROLES] = { false };

	for (size_t i = 0; i < n; i++) {
		if (f[i].role != EP_ROLE_NONE && (taken[f[i].role] || !f[i].selectable))
			f[i].role = EP_ROLE_NONE;
		taken[f[i].role] = true;
	}
	for (size_t i = 0; i < n; i++) {
		bool top = path_depth(f[i].path) == 1 ||
			   (path_depth(f[i].path) == 2 && path_is_below(f[i].path, SPAN_LIT("INBOX")));
		enum ep_role role = top && f[i].selectable && f[i].role == EP_ROLE_NONE
			? role_of_name(path_last(f[i].path)) : EP_ROLE_NONE;

		if (role == EP_ROLE_NONE || taken[role])
			continue;
		f[i].role = role;
		taken[role] = true;
	}
}
