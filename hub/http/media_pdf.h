/* media_pdf.h: documents (PDF, ISO 32000-2) for media.c. */
#ifndef CITYHUB_MEDIA_PDF_H
#define CITYHUB_MEDIA_PDF_H

#include "hub/http/media_passage.h"

/* The document without what tells of its author, its making and its pictures' places, in a file of the same size: see
 * media_strip. */
const char *media_pdf_strip(struct media_passage *passage);

#endif
