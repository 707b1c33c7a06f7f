"""PDF: pages to lines, paragraphs, tables; scanned pages by OCR."""
